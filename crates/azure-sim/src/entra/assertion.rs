//! Client assertions: signed by a registered certificate, or by an issuer that a federated credential names.

use jiff::Timestamp;
use serde_json::Value;

use super::{Refusal, certificate::Certificate, token::Jwt};
use crate::world::Application;

const EXCHANGE: &str = "api://AzureADTokenExchange";

/// Judges an assertion that came in a secret's place. `bases` are the authorities that its audience may name.
pub(super) fn judge(
    application: &Application,
    client: &str,
    text: &str,
    bases: &[&str],
    tenant: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    let Some(jwt) = Jwt::parse(text) else {
        return Err(Refusal::new(401, "invalid_client", 50027, "JWT token is invalid or malformed."));
    };
    let header = |name: &str| jwt.header.get(name).and_then(Value::as_str);
    if header("x5t").is_some() || header("x5t#S256").is_some() {
        by_certificate(application, client, &jwt, bases, tenant, now)
    } else {
        by_federation(application, client, text, &jwt, now)
    }
}

fn out_of_range() -> Refusal {
    let message = "Client assertion is not within its valid time range. Review the documentation for client assertions.";
    Refusal::new(401, "invalid_client", 700_024, message)
}

fn by_certificate(
    application: &Application,
    client: &str,
    jwt: &Jwt<'_>,
    bases: &[&str],
    tenant: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    let unsigned = |why: &str| {
        Refusal::new(
            401,
            "invalid_client",
            700_027,
            format!(
                "The certificate with identifier used to sign the client assertion is not registered on application, or its signature is wrong. {why}"
            ),
        )
    };
    let header = |name: &str| jwt.header.get(name).and_then(Value::as_str);
    let certificates = application.certificates.iter().filter_map(|pem| Certificate::parse(pem));
    // MSAL for Python pads them.
    let thumbprint = |name: &str| header(name).map(|text| text.trim_end_matches('='));
    let named = |certificate: &Certificate| {
        thumbprint("x5t").is_none_or(|wanted| certificate.thumbprint_sha1() == wanted)
            && thumbprint("x5t#S256").is_none_or(|wanted| certificate.thumbprint_sha256() == wanted)
    };
    let certificate = certificates.into_iter().find(named).ok_or_else(|| unsigned("The thumbprint is not known."))?;
    if !certificate.signed(header("alg").unwrap_or_default(), jwt.signed.as_bytes(), &jwt.signature) {
        return Err(unsigned("The signature does not fit."));
    }
    let audience = jwt.text("aud");
    let may_be =
        |base: &&str| [format!("{base}/{tenant}/oauth2/v2.0/token"), format!("{base}/{tenant}/v2.0")].iter().any(|known| known == audience);
    if !bases.iter().any(may_be) {
        let message =
            format!("Assertion audience claim does not match the required value. The audience in the assertion was '{audience}'.");
        return Err(Refusal::new(401, "invalid_client", 700_023, message));
    }
    if !jwt.text("iss").eq_ignore_ascii_case(client) || !jwt.text("sub").eq_ignore_ascii_case(client) {
        return Err(Refusal::new(401, "invalid_client", 700_021, "Client assertion issuer or subject does not match the client id."));
    }
    if jwt.text("jti").is_empty() {
        return Err(Refusal::new(401, "invalid_client", 50027, "JWT token is invalid: it has no 'jti'."));
    }
    if jwt.is_current(now) { Ok(()) } else { Err(out_of_range()) }
}

fn by_federation(application: &Application, client: &str, text: &str, jwt: &Jwt<'_>, now: Timestamp) -> Result<(), Refusal> {
    let refuse = |number, what: &str, found: &str| {
        let message =
            format!("No matching federated identity record found for presented assertion {what} '{found}' on application '{client}'.");
        Err(Refusal::new(401, "invalid_client", number, message))
    };
    if application.federations.is_empty() {
        return Err(Refusal::new(401, "invalid_client", 70021, "No configured federated identity credentials were found."));
    }
    let issuer: Vec<_> = application.federations.iter().filter(|known| known.issuer == jwt.text("iss")).collect();
    if issuer.is_empty() {
        return refuse(700_211, "issuer", jwt.text("iss"));
    }
    let Some(known) = issuer.into_iter().find(|known| known.subject == jwt.text("sub")) else {
        return refuse(700_213, "subject", jwt.text("sub"));
    };
    let wanted = if known.audience.is_empty() { EXCHANGE } else { &known.audience };
    let audiences: Vec<&str> = match jwt.claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if audiences != [wanted] {
        return refuse(700_212, "audience", audiences.first().copied().unwrap_or_default());
    }
    if !jwt.is_current(now) {
        return Err(out_of_range());
    }
    let signed = known.certificate.as_ref().is_none_or(|pem| {
        let algorithm = jwt.header.get("alg").and_then(Value::as_str).unwrap_or_default();
        Certificate::parse(pem).is_some_and(|certificate| certificate.signed(algorithm, jwt.signed.as_bytes(), &jwt.signature))
    });
    if !signed || known.token.as_ref().is_some_and(|only| only != text) {
        return Err(Refusal::new(401, "invalid_client", 50013, "Assertion failed signature validation."));
    }
    Ok(())
}
