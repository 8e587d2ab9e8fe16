//! Errors as AWS answers them.

use jiff::Timestamp;

use crate::{service::Service, sigv4::skew_message};

/// One error answer: the HTTP status and what stands in the error document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// A parameter with a value that the service does not take.
    pub(crate) fn invalid(service: Service, message: impl Into<String>) -> Self {
        let code = match service {
            Service::Ec2 => "InvalidParameterValue",
            Service::Organizations => "InvalidInputException",
            Service::Elbv2 | Service::Elb | Service::AutoScaling | Service::Sts => "ValidationError",
        };
        Self::new(400, code, message)
    }

    /// Parameters that exclude each other.
    pub(crate) fn combination(service: Service, message: impl Into<String>) -> Self {
        match service {
            Service::Ec2 => Self::new(400, "InvalidParameterCombination", message),
            _ => Self::invalid(service, message),
        }
    }

    /// A parameter that the action does not have.
    pub(crate) fn unknown_parameter(service: Service, name: &str) -> Self {
        match service {
            Service::Ec2 => Self::new(400, "UnknownParameter", format!("The parameter {name} is not recognized")),
            _ => Self::invalid(service, format!("Unknown parameter: {name}")),
        }
    }

    pub(crate) fn missing_parameter(service: Service, name: &str) -> Self {
        match service {
            Service::Ec2 => Self::new(400, "MissingParameter", format!("The request must contain the parameter {name}")),
            _ => Self::invalid(
                service,
                format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"),
            ),
        }
    }

    pub(crate) fn unknown_action(service: Service, action: &str) -> Self {
        match service {
            Service::Organizations => Self::new(400, "UnknownOperationException", format!("Unknown operation {action}")),
            Service::Ec2 => Self::new(400, "InvalidAction", format!("The action {action} is not valid for this web service.")),
            _ => Self::new(400, "InvalidAction", format!("Could not find operation {action} for version {}", service.version())),
        }
    }

    /// Too many calls.
    pub(crate) fn throttled(service: Service) -> Self {
        match service {
            Service::Ec2 => Self::new(503, "RequestLimitExceeded", "Request limit exceeded."),
            Service::Organizations => Self::new(
                400,
                "TooManyRequestsException",
                "AWS Organizations can't complete your request because another request is already in progress. Try again later.",
            ),
            _ => Self::new(400, "Throttling", "Rate exceeded"),
        }
    }

    /// The identity has no policy that permits the action.
    pub(crate) fn denied(service: Service, caller: &str, action: &str) -> Self {
        Self::denial(service, caller, action, "because no identity-based policy allows the action")
    }

    /// A service control policy of the organization forbids the action.
    pub(crate) fn denied_by_organization(service: Service, caller: &str, action: &str) -> Self {
        Self::denial(service, caller, action, "with an explicit deny in a service control policy")
    }

    fn denial(service: Service, caller: &str, action: &str, why: &str) -> Self {
        let action = format!("{}:{action}", service.signing_name());
        match service {
            Service::Ec2 => Self::new(
                403,
                "UnauthorizedOperation",
                format!("You are not authorized to perform this operation. User: {caller} is not authorized to perform: {action} {why}"),
            ),
            Service::Organizations => {
                Self::new(400, "AccessDeniedException", format!("User: {caller} is not authorized to perform: {action} {why}"))
            }
            _ => Self::new(403, "AccessDenied", format!("User: {caller} is not authorized to perform: {action} on resource: * {why}")),
        }
    }

    /// The access key is unknown, or not known in this region.
    pub(crate) fn unknown_key(service: Service) -> Self {
        match service {
            Service::Ec2 => Self::new(401, "AuthFailure", "AWS was not able to validate the provided access credentials"),
            Service::Organizations => {
                Self::new(400, "UnrecognizedClientException", "The security token included in the request is invalid.")
            }
            _ => Self::new(403, "InvalidClientTokenId", "The security token included in the request is invalid."),
        }
    }

    /// The signature is not what it has to be.
    pub(crate) fn bad_signature(service: Service, message: impl Into<String>) -> Self {
        match service {
            Service::Organizations => Self::new(400, "InvalidSignatureException", message),
            _ => Self::new(403, "SignatureDoesNotMatch", message),
        }
    }

    /// The client's clock, by which it signs, is too far from the server's.
    pub(crate) fn skewed(service: Service, signed: Timestamp, now: Timestamp) -> Self {
        match service {
            Service::Ec2 => Self::new(400, "RequestExpired", format!("Request has expired. Timestamp date is {signed}")),
            _ => Self::bad_signature(service, skew_message(signed, now)),
        }
    }

    pub(crate) fn expired_session(service: Service) -> Self {
        match service {
            Service::Ec2 => Self::new(400, "RequestExpired", "Request has expired."),
            Service::Organizations => Self::new(400, "ExpiredTokenException", "The security token included in the request is expired"),
            _ => Self::new(403, "ExpiredToken", "The security token included in the request is expired"),
        }
    }
}
