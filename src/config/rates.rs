//! Budgets for calls as written, in one form for all sources.

/// The budgets of a source's APIs as written, and one of them for each API: a type of its own, since a budget that is given in part takes the rest from its
/// own default. The comments are the descriptions in the published schema.
macro_rules! rates {
    (
        #[$doc:meta]
        $raw:ident, $schema:literal, $rates:ident;
        #[$each_doc:meta]
        each { $(#[$api_doc:meta] $api:ident: $name:ident, $api_schema:literal;)+ }
    ) => {
        #[$doc]
        #[derive(Debug, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        #[schemars(rename = $schema)]
        pub(in crate::config) struct $raw {
            $(#[$api_doc] $api: $name,)+
        }

        impl From<$raw> for $rates {
            fn from(raw: $raw) -> Self {
                Self { $($api: raw.$api.into(),)+ }
            }
        }

        $(
            #[$each_doc]
            #[derive(Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
            #[serde(default, deny_unknown_fields)]
            #[schemars(rename = $api_schema)]
            #[schemars(extend("x-help" = "for example `{ requests_per_second: 10, burst: 40 }`"))]
            pub(in crate::config) struct $name {
                /// Calls per second once the burst is used up.
                #[schemars(range(min = 1, max = 1_000_000))]
                requests_per_second: std::num::NonZeroU32,
                /// Calls that may be made at once.
                #[schemars(range(min = 1, max = 1_000_000))]
                burst: std::num::NonZeroU32,
            }

            impl Default for $name {
                fn default() -> Self {
                    let dewpoint_core::source::Rate { per_second, burst } = $rates::default().$api;
                    Self { requests_per_second: per_second, burst }
                }
            }

            impl From<$name> for dewpoint_core::source::Rate {
                fn from(raw: $name) -> Self {
                    Self { per_second: raw.requests_per_second, burst: raw.burst }
                }
            }
        )+
    };
}

pub(in crate::config) use rates;
