//! Clients of the SDK: credentials, HTTP, retries and time-outs.

use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::retry::{RetryConfig, RetryPartition};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder as HttpClientBuilder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::timeout::TimeoutConfig;
use dewpoint_core::model::Region;

use crate::body::WholeBody;

/// Name in the `User-Agent` header.
const APP_NAME: &str = "dewpoint";

/// What tests set differently from the defaults.
#[derive(Debug, Clone)]
pub(crate) struct Tuning {
    /// Longest wait for a connection.
    pub(crate) connect: Duration,
    /// Longest wait for the first byte of an answer. A page of 1 000 instances takes EC2 several seconds.
    pub(crate) read: Duration,
    /// Longest time for one attempt.
    pub(crate) attempt: Duration,
    /// First pause between two tries of a throttled call, once the SDK has used up its attempts.
    pub(crate) pause: Duration,
    /// Attempts for one call, the first included.
    pub(crate) attempts_max: u32,
    /// Base of the back-off between attempts; the SDK doubles it, up to 20 s, with jitter.
    pub(crate) backoff: Duration,
    /// Proxy for all calls.
    pub(crate) proxy: ProxyConfig,
    /// Where credentials come from, in place of the default chain.
    pub(crate) credentials: Option<SharedCredentialsProvider>,
    /// The region of a caller that is told none, in place of the environment's.
    pub(crate) region: Option<Region>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(30),
            attempt: Duration::from_secs(60),
            pause: Duration::from_secs(5),
            attempts_max: 5,
            backoff: Duration::from_secs(1),
            proxy: ProxyConfig::from_env(),
            credentials: None,
            region: None,
        }
    }
}

/// Region of a caller that names none: where AWS's global services are at home in its commercial partition.
const DEFAULT_REGION: &str = "us-east-1";

/// Loads what all clients share. The credentials are resolved by the first call, and again whenever they expire. Without a region, that of the
/// environment, the profile or the machine is taken.
pub(crate) async fn shared_config(region: Option<Region>, endpoint_url: Option<&str>, timeout: Duration, tuning: &Tuning) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(tuning.connect.min(timeout))
        .read_timeout(tuning.read.min(timeout))
        .operation_attempt_timeout(tuning.attempt.min(timeout))
        .operation_timeout(timeout)
        .build();
    // Standard, not adaptive: the adaptive limiter delays even calls that nobody throttled.
    let retries = RetryConfig::standard().with_max_attempts(tuning.attempts_max).with_initial_backoff(tuning.backoff);
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client(tuning.proxy.clone()))
        .timeout_config(timeouts)
        .retry_config(retries);
    if let Some(region) = region.as_ref().or(tuning.region.as_ref()) {
        loader = loader.region(sdk_region(region));
    }
    if let Ok(name) = AppName::new(APP_NAME) {
        loader = loader.app_name(name);
    }
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(credentials) = &tuning.credentials {
        loader = loader.credentials_provider(credentials.clone());
    }
    let config = loader.load().await;
    match config.region() {
        Some(_) => config,
        None => config.to_builder().region(aws_config::Region::from_static(DEFAULT_REGION)).build(),
    }
}

/// TLS by rustls with ring and the roots of the operating system; proxies as the usual environment variables say.
fn http_client(proxy: ProxyConfig) -> SharedHttpClient {
    HttpClientBuilder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).proxy_config(proxy.clone());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.build()
    })
}

/// The clients of one account in one region.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) ec2: aws_sdk_ec2::Client,
    /// Application, network and gateway load balancers.
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    /// Classic load balancers.
    pub(crate) classic: aws_sdk_elasticloadbalancing::Client,
    pub(crate) auto_scaling: aws_sdk_autoscaling::Client,
    pub(crate) sts: aws_sdk_sts::Client,
}

/// A service's configuration in a region. The SDK's retry quota is shared by the whole process, so that one account's errors would use up
/// the retries of all: each account and region gets its own.
macro_rules! service_config {
    ($sdk:ident, $shared:expr, $owner:expr, $region:expr, $endpoint_url:expr) => {{
        let partition = RetryPartition::custom(format!("{}/{}/{}", $owner, $region, stringify!($sdk))).build();
        let config = $sdk::config::Builder::from($shared).region(sdk_region($region)).retry_partition(partition);
        // Set here as well, so that no service-specific environment variable wins over the configuration.
        match $endpoint_url {
            Some(url) => config.endpoint_url(url),
            None => config,
        }
    }};
}

impl Clients {
    /// `owner` names whose retry quota it is: an account, or a source while its account is not known.
    pub(crate) fn new(shared: &SdkConfig, owner: &str, region: &Region, endpoint_url: Option<&str>) -> Self {
        let ec2 = service_config!(aws_sdk_ec2, shared, owner, region, endpoint_url).interceptor(WholeBody);
        let elb = service_config!(aws_sdk_elasticloadbalancingv2, shared, owner, region, endpoint_url).interceptor(WholeBody);
        let classic = service_config!(aws_sdk_elasticloadbalancing, shared, owner, region, endpoint_url).interceptor(WholeBody);
        let auto_scaling = service_config!(aws_sdk_autoscaling, shared, owner, region, endpoint_url).interceptor(WholeBody);
        let sts = service_config!(aws_sdk_sts, shared, owner, region, endpoint_url).interceptor(WholeBody);
        Self {
            ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(elb.build()),
            classic: aws_sdk_elasticloadbalancing::Client::from_conf(classic.build()),
            auto_scaling: aws_sdk_autoscaling::Client::from_conf(auto_scaling.build()),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
        }
    }
}

/// The Organizations client. The SDK knows which region answers for a partition.
pub(crate) fn organizations(shared: &SdkConfig, owner: &str, region: &Region, endpoint_url: Option<&str>) -> aws_sdk_organizations::Client {
    // Its answers are JSON: one that is cut is no document, and the SDK says so.
    aws_sdk_organizations::Client::from_conf(service_config!(aws_sdk_organizations, shared, owner, region, endpoint_url).build())
}

/// What an account's clients share when its calls are made as a role: the same as the caller's, with other credentials.
pub(crate) async fn as_role(shared: &SdkConfig, role_arn: &str, external_id: Option<&str>, home: &Region) -> SdkConfig {
    let mut role = AssumeRoleProvider::builder(role_arn).session_name(APP_NAME).region(sdk_region(home)).configure(shared);
    if let Some(id) = external_id {
        role = role.external_id(id);
    }
    let provider = SharedCredentialsProvider::new(role.build().await);
    // A cache of its own: the SDK's shared one keeps 64 identities, and drops any beyond.
    shared.to_builder().credentials_provider(provider).identity_cache(IdentityCache::lazy().build()).build()
}

pub(crate) fn sdk_region(region: &Region) -> aws_config::Region {
    aws_config::Region::new(region.as_str().to_owned())
}
