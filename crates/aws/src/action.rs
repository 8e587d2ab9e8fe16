//! The API actions that the source makes, each with the rate budget that it draws on.

/// Actions that share a rate budget, per account and region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    Ec2,
    LoadBalancing,
    AutoScaling,
    Organizations,
    Sts,
}

impl Family {
    pub(crate) const ALL: [Self; 5] = [Self::Ec2, Self::LoadBalancing, Self::AutoScaling, Self::Organizations, Self::Sts];

    /// The service in people's words.
    pub(crate) const fn service(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::LoadBalancing => "Elastic Load Balancing",
            Self::AutoScaling => "Auto Scaling",
            Self::Organizations => "Organizations",
            Self::Sts => "STS",
        }
    }
}

/// One API action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Action {
    /// `service:Action`, as in policies.
    pub(crate) name: &'static str,
    pub(crate) family: Family,
}

impl Action {
    pub(crate) const fn ec2(name: &'static str) -> Self {
        Self { name, family: Family::Ec2 }
    }

    pub(crate) const fn load_balancing(name: &'static str) -> Self {
        Self { name, family: Family::LoadBalancing }
    }

    pub(crate) const fn auto_scaling(name: &'static str) -> Self {
        Self { name, family: Family::AutoScaling }
    }

    pub(crate) const fn organizations(name: &'static str) -> Self {
        Self { name, family: Family::Organizations }
    }

    pub(crate) const fn sts(name: &'static str) -> Self {
        Self { name, family: Family::Sts }
    }
}
