//! Exit codes, all of them.

use std::collections::BTreeSet;

/// How a command ended. The order of the variants is the precedence: of several that apply, the first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 130: interrupted; what was done is recorded, the next run goes on from there.
    Interrupted,
    /// 2: usage or configuration; also a target that is not the one the ledger knows, and a saved plan of another estate.
    Usage,
    /// 1: failed.
    Failed,
    /// 5: no source or no target accepted its credentials.
    Credentials,
    /// 4: a guardrail holds something; the rest is applied.
    Held,
    /// 3: partly done.
    Partly,
    /// 6: changes are pending (`plan --exit-code`).
    Pending,
    /// 0: done, or nothing to do.
    Done,
}

impl Exit {
    /// The code for the operating system.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Interrupted => 130,
            Self::Usage => 2,
            Self::Failed => 1,
            Self::Credentials => 5,
            Self::Held => 4,
            Self::Partly => 3,
            Self::Pending => 6,
            Self::Done => 0,
        }
    }

    /// The code of several that apply: the first that the configuration's `exit_ok` does not name. One that is named hides no other.
    #[must_use]
    pub fn code_of(exits: &BTreeSet<Self>, ok: &BTreeSet<u8>) -> u8 {
        exits.iter().map(|exit| exit.code()).find(|code| !ok.contains(code)).unwrap_or(0)
    }

    /// A word for programs where a run came to a report and failed all the same.
    #[must_use]
    pub const fn failure(self) -> Option<&'static str> {
        match self {
            Self::Interrupted => Some("interrupted"),
            Self::Usage => Some("target"),
            Self::Failed => Some("failed"),
            Self::Credentials => Some("credentials"),
            Self::Held | Self::Partly | Self::Pending | Self::Done => None,
        }
    }

    /// The word of a sync's outcome, as reports have it.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Usage | Self::Failed | Self::Credentials => "failed",
            Self::Held => "held",
            Self::Partly => "partly",
            Self::Pending | Self::Done => "done",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_first_that_applies_wins() {
        let precedence =
            [Exit::Interrupted, Exit::Usage, Exit::Failed, Exit::Credentials, Exit::Held, Exit::Partly, Exit::Pending, Exit::Done];
        let codes: Vec<u8> = precedence.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [130, 2, 1, 5, 4, 3, 6, 0]);
        assert!(precedence.is_sorted());
        assert_eq!([Exit::Partly, Exit::Held, Exit::Done].into_iter().min(), Some(Exit::Held));
    }

    #[test]
    fn exit_ok_takes_named_codes_out_and_hides_no_other() {
        let code = |exits: &[Exit], ok: &[u8]| Exit::code_of(&exits.iter().copied().collect(), &ok.iter().copied().collect());
        assert_eq!(code(&[Exit::Partly, Exit::Done], &[3]), 0);
        assert_eq!(code(&[Exit::Held, Exit::Partly, Exit::Done], &[]), 4);
        assert_eq!(code(&[Exit::Held, Exit::Partly, Exit::Done], &[3]), 4);
        assert_eq!(code(&[Exit::Held, Exit::Partly, Exit::Done], &[4]), 3);
        assert_eq!(code(&[Exit::Held, Exit::Partly, Exit::Done], &[3, 4]), 0);
        assert_eq!(code(&[Exit::Failed, Exit::Credentials], &[1]), 5);
        assert_eq!(code(&[], &[]), 0);
    }
}
