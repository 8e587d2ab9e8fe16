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

    /// The code, or 0 where the configuration's `exit_ok` names it.
    #[must_use]
    pub fn code_unless(self, ok: &BTreeSet<u8>) -> u8 {
        if ok.contains(&self.code()) { 0 } else { self.code() }
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
    fn exit_ok_turns_a_named_code_into_success() {
        assert_eq!(Exit::Partly.code_unless(&[3].into()), 0);
        assert_eq!(Exit::Held.code_unless(&[3].into()), 4);
    }
}
