//! Clients of the SDK: credentials, HTTP, retries and time-outs.

use std::sync::OnceLock;
use std::time::Duration;

use aws_config::identity::IdentityCache;
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
use jiff::Timestamp;

use crate::body::WholeBody;
use crate::role::RoleCredentials;

/// Name in the `User-Agent` header, and of the sessions of roles.
pub(crate) const APP_NAME: &str = "dewpoint";

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

/// The clients of one account in one region, each made on first use.
#[derive(Debug)]
pub(crate) struct Clients {
    shared: SdkConfig,
    owner: String,
    region: Region,
    endpoint_url: Option<String>,
    ec2: OnceLock<aws_sdk_ec2::Client>,
    elb: OnceLock<aws_sdk_elasticloadbalancingv2::Client>,
    classic: OnceLock<aws_sdk_elasticloadbalancing::Client>,
    auto_scaling: OnceLock<aws_sdk_autoscaling::Client>,
    sts: OnceLock<aws_sdk_sts::Client>,
}

/// A service's configuration in a region. The SDK's quota for retries is the whole process's, so that one account's errors would use up
/// the retries of all: each client gets its own.
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

/// A client of one of the services that answer in XML.
macro_rules! client {
    ($clients:expr, $field:ident, $sdk:ident) => {
        $clients.$field.get_or_init(|| {
            let Self { shared, owner, region, endpoint_url, .. } = $clients;
            let config = service_config!($sdk, shared, owner, region, endpoint_url.as_deref());
            $sdk::Client::from_conf(config.interceptor(WholeBody).build())
        })
    };
}

impl Clients {
    /// `owner` names whose retry quota it is, in the SDK's logs: an account, or a source while its account is not known.
    pub(crate) fn new(shared: &SdkConfig, owner: &str, region: &Region, endpoint_url: Option<String>) -> Self {
        Self {
            shared: shared.clone(),
            owner: owner.to_owned(),
            region: region.clone(),
            endpoint_url,
            ec2: OnceLock::new(),
            elb: OnceLock::new(),
            classic: OnceLock::new(),
            auto_scaling: OnceLock::new(),
            sts: OnceLock::new(),
        }
    }

    /// The time by the clock that requests are signed with.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        now(&self.shared)
    }

    pub(crate) fn ec2(&self) -> &aws_sdk_ec2::Client {
        client!(self, ec2, aws_sdk_ec2)
    }

    /// Application, network and gateway load balancers.
    pub(crate) fn elb(&self) -> &aws_sdk_elasticloadbalancingv2::Client {
        client!(self, elb, aws_sdk_elasticloadbalancingv2)
    }

    /// Classic load balancers.
    pub(crate) fn classic(&self) -> &aws_sdk_elasticloadbalancing::Client {
        client!(self, classic, aws_sdk_elasticloadbalancing)
    }

    pub(crate) fn auto_scaling(&self) -> &aws_sdk_autoscaling::Client {
        client!(self, auto_scaling, aws_sdk_autoscaling)
    }

    pub(crate) fn sts(&self) -> &aws_sdk_sts::Client {
        client!(self, sts, aws_sdk_sts)
    }
}

/// The Organizations client. The SDK knows which region answers for a partition.
pub(crate) fn organizations(shared: &SdkConfig, owner: &str, region: &Region, endpoint_url: Option<&str>) -> aws_sdk_organizations::Client {
    // Its answers are JSON: one that is cut is no document, and the SDK says so.
    aws_sdk_organizations::Client::from_conf(service_config!(aws_sdk_organizations, shared, owner, region, endpoint_url).build())
}

/// What an account's clients share when its calls are made as a role: the same as the caller's, with other credentials.
pub(crate) fn as_role(shared: &SdkConfig, credentials: RoleCredentials, timeout: Duration) -> SdkConfig {
    // A cache of its own: the SDK's shared one keeps 64 identities, and drops any beyond. It would also give up renewing after five seconds, before the
    // provider, which knows why, has to.
    let cache = IdentityCache::lazy().load_timeout(timeout).build();
    shared.to_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).identity_cache(cache).build()
}

/// The time by the clock that requests are signed with.
pub(crate) fn now(shared: &SdkConfig) -> Option<Timestamp> {
    Timestamp::try_from(shared.time_source()?.now()).ok()
}

pub(crate) fn sdk_region(region: &Region) -> aws_config::Region {
    aws_config::Region::new(region.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::config::retry::RetryMode;

    use super::*;

    /// Adaptive mode delays calls that nobody throttled.
    #[tokio::test]
    async fn retries_are_the_standard_ones() {
        let region = "eu-west-1".parse().ok();
        let config = shared_config(region, None, Duration::from_secs(30), &Tuning::default()).await;
        let retries = config.retry_config().map(|retries| (retries.mode(), retries.max_attempts()));
        assert_eq!(retries, Some((RetryMode::Standard, 5)));
        assert_eq!(config.timeout_config().and_then(|timeouts| timeouts.operation_timeout()), Some(Duration::from_secs(30)));
    }
}
