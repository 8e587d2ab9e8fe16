//! Whom to trust: the system's authorities, and the configured ones beside them.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::build_error::BuildError;

/// TLS 1.2 and 1.3 over ring, with the system's certificates: administrators keep those, and put their own authorities there as well.
/// (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others.)
pub(crate) fn config(ca_pem: Option<&[u8]>) -> Result<ClientConfig, BuildError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if let Some(pem) = ca_pem {
        let bad = |why: String| BuildError::CaFile { why };
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
            found += 1;
        }
        if found == 0 {
            return Err(bad("there is no certificate in it".to_owned()));
        }
    }
    if roots.is_empty() {
        let why = system.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return Err(BuildError::NoRoots { why: if why.is_empty() { "the system has none".to_owned() } else { why } });
    }
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildError::Machinery { why: error.to_string() })?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        for bad in ["", "no PEM", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(matches!(config(Some(bad.as_bytes())).unwrap_err(), BuildError::CaFile { .. }), "{bad}");
        }
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(config(Some(cut.as_bytes())).unwrap_err(), BuildError::CaFile { .. }));
    }
}
