//! Who can log in, and what they may read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids;

/// An application (service principal) or a managed identity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Application {
    /// The id of the service principal.
    pub object_id: String,
    /// Client secrets.
    pub secrets: Vec<Secret>,
    /// Certificates (PEM) whose keys (RSA) sign assertions.
    pub certificates: Vec<String>,
    /// Whose tokens are taken in place of a secret.
    pub federations: Vec<Federation>,
    /// A managed identity, which the metadata endpoints hand out tokens for.
    pub managed: bool,
    /// The resource id of a user-assigned managed identity.
    pub resource_id: Option<String>,
    /// What it may do.
    pub assignments: Vec<Assignment>,
    /// Conditional access forbids it to log in.
    pub blocked: bool,
}

/// A client secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secret {
    /// What is sent.
    pub value: String,
    /// From when on it is not taken any more.
    pub expires: Option<Timestamp>,
}

/// A federated credential: whose tokens are taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Federation {
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `sub`.
    pub subject: String,
    /// The claim `aud`; `api://AzureADTokenExchange` when empty.
    pub audience: String,
    /// The certificate (PEM) whose key (RSA) signs the issuer's tokens. Without it the signature is not judged.
    pub certificate: Option<String>,
    /// The only text that is taken, where it is given: an older token, or one that is made up, is not.
    pub token: Option<String>,
}

/// A role assignment: what may be done at a scope and below it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Assignment {
    /// `/`, a management group's, a subscription's, a resource group's or a resource's id.
    pub scope: String,
    /// As `*/read` or `Microsoft.Compute/virtualMachines/read`.
    pub actions: Vec<String>,
    /// What of it may not be done.
    pub not_actions: Vec<String>,
}

impl Assignment {
    /// Of the role `Reader`.
    pub fn reader(scope: &str) -> Self {
        Self { scope: scope.to_owned(), actions: vec!["*/read".to_owned()], not_actions: Vec::new() }
    }
}

impl Application {
    /// A reader of everything.
    pub fn reader(client: &str) -> Self {
        Self {
            object_id: ids::guid(&["principal", &client.to_ascii_lowercase()]),
            assignments: vec![Assignment::reader("/")],
            ..Self::default()
        }
    }

    /// In place of all it may do: to read this scope and what is below it.
    pub fn reads_only(&mut self, scope: &str) -> &mut Self {
        self.assignments = vec![Assignment::reader(scope)];
        self
    }

    /// Takes an action away, as `Microsoft.Network/loadBalancers/read`, wherever it was assigned.
    pub fn may_not(&mut self, action: &str) -> &mut Self {
        for assignment in &mut self.assignments {
            assignment.not_actions.push(action.to_owned());
        }
        self
    }

    /// Gives an action at a scope.
    pub fn may(&mut self, action: &str, scope: &str) -> &mut Self {
        self.assignments.push(Assignment { scope: scope.to_owned(), actions: vec![action.to_owned()], not_actions: Vec::new() });
        self
    }
}
