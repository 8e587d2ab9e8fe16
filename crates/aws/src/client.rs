//! Clients of the SDK: credentials, HTTP, retries, time-outs, and what each call is watched for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_ec2::config::timeout::TimeoutConfig;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder as HttpClientBuilder, Connector};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use dewpoint_core::model::{Account, Region, SourceName};
use dewpoint_core::source::Progress;

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
    /// Longest time for one call with all its retries.
    pub(crate) operation: Duration,
    /// Attempts for one call, the first included.
    pub(crate) attempts_max: u32,
    /// Base of the back-off between attempts; the SDK doubles it, up to 20 s, with jitter.
    pub(crate) backoff: Duration,
    /// Proxy for all calls.
    pub(crate) proxy: ProxyConfig,
    /// Where credentials come from, in place of the default chain.
    pub(crate) credentials: Option<SharedCredentialsProvider>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(30),
            attempt: Duration::from_secs(60),
            operation: Duration::from_secs(180),
            attempts_max: 5,
            backoff: Duration::from_secs(1),
            proxy: ProxyConfig::from_env(),
            credentials: None,
        }
    }
}

/// Loads what all clients share. The credentials are resolved by the first call, and again whenever they expire.
pub(crate) async fn shared_config(region: &Region, endpoint_url: Option<&str>, tuning: &Tuning) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(tuning.connect)
        .read_timeout(tuning.read)
        .operation_attempt_timeout(tuning.attempt)
        .operation_timeout(tuning.operation)
        .build();
    // Standard, not adaptive: the adaptive limiter delays even calls that nobody throttled.
    let retries = RetryConfig::standard().with_max_attempts(tuning.attempts_max).with_initial_backoff(tuning.backoff);
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client(tuning.proxy.clone()))
        .region(sdk_region(region))
        .timeout_config(timeouts)
        .retry_config(retries);
    if let Ok(name) = AppName::new(APP_NAME) {
        loader = loader.app_name(name);
    }
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(credentials) = &tuning.credentials {
        loader = loader.credentials_provider(credentials.clone());
    }
    loader.load().await
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

/// The EC2 client of one account and region, with a retry budget of its own: the SDK's is shared by all accounts of the process.
pub(crate) fn ec2(shared: &SdkConfig, account: &Account, region: &Region, endpoint_url: Option<&str>) -> aws_sdk_ec2::Client {
    let mut config = aws_sdk_ec2::config::Builder::from(shared)
        .region(sdk_region(region))
        .retry_partition(RetryPartition::custom(format!("{account}/{region}/ec2")).build())
        .interceptor(WholeBody);
    // Set here as well, so that no service-specific environment variable wins over the configuration.
    if let Some(url) = endpoint_url {
        config = config.endpoint_url(url);
    }
    aws_sdk_ec2::Client::from_conf(config.build())
}

/// The STS client of one region.
pub(crate) fn sts(shared: &SdkConfig, region: &Region, endpoint_url: Option<&str>) -> aws_sdk_sts::Client {
    let mut config = aws_sdk_sts::config::Builder::from(shared)
        .region(sdk_region(region))
        .retry_partition(RetryPartition::custom(format!("{region}/sts")).build())
        .interceptor(WholeBody);
    if let Some(url) = endpoint_url {
        config = config.endpoint_url(url);
    }
    aws_sdk_sts::Client::from_conf(config.build())
}

fn sdk_region(region: &Region) -> aws_config::Region {
    aws_config::Region::new(region.as_str().to_owned())
}

/// Watches one call: its attempts, the time spent waiting for a rate limit, and the service's clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Readings>);

#[derive(Debug, Default)]
struct Readings {
    attempts: AtomicU64,
    throttled: Mutex<Throttled>,
    date: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Throttled {
    since: Option<Instant>,
    total: Duration,
}

impl Meter {
    /// Tells the run's progress what was made of this call.
    pub(crate) fn report(&self, progress: &dyn Progress, source: &SourceName, operation: &str) {
        for _ in 0..self.0.attempts.load(Ordering::Relaxed) {
            progress.called(source.as_str(), operation);
        }
        let waited = self.0.throttled.lock().map(|throttled| throttled.total).unwrap_or_default();
        if !waited.is_zero() {
            progress.waited(source.as_str(), waited.as_secs_f64());
        }
    }

    /// The `Date` header of the last answer.
    pub(crate) fn date(&self) -> Option<String> {
        self.0.date.lock().ok().and_then(|date| date.clone())
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.attempts.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut throttled) = self.0.throttled.lock()
            && let Some(since) = throttled.since.take()
        {
            throttled.total += since.elapsed();
        }
        Ok(())
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(date), Ok(mut slot)) = (context.response().headers().get("date"), self.0.date.lock()) {
            *slot = Some(date.to_owned());
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // EC2 throttles with status 503, newer services with 429.
        let limited = context.response().is_some_and(|response| matches!(response.status().as_u16(), 429 | 503));
        if limited && let Ok(mut throttled) = self.0.throttled.lock() {
            throttled.since = Some(Instant::now());
        }
        Ok(())
    }
}
