//! What a delivered record was made from, in sixteen bytes.

use super::attached::Attachments;
use super::input::Input;
use crate::estate::{Disposition, Known, Stage};
use crate::lifecycle::Verdicts;
use crate::model::Digest;
use crate::ownership::{Fact, FactTags, Ownership};
use crate::rules::Verdict;
use crate::target::{Adapted, Attached};

/// Digest of the mapping, the settings, the resource and its decisions.
///
/// Four bytes are the mapping's alone and one is the stage's, because a later plan has to tell "the mapping changed" and "the stage
/// changed" from other reasons (guardrail 5: what rests is tried again, `transition` fields are written).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Basis([u8; 16]);

impl Basis {
    pub(super) fn read(digest: Digest) -> Self {
        Self(*digest.as_bytes())
    }

    pub(super) fn digest(self) -> Digest {
        // Sixteen bytes always make a digest; the other arm is for the type only.
        Digest::from_bytes(&self.0).unwrap_or_else(|| Digest::of_parts([self.0.as_slice()]))
    }

    /// The same for a record that some fields' mapping failed for. It never equals another basis of the same parts, so that such a record is looked
    /// at by every plan until its mapping is whole: each says what fails.
    pub(super) fn of(self, adapted: &Adapted) -> Self {
        if adapted.failed.is_empty() {
            return self;
        }
        let mut bytes = self.0;
        if let Some(last) = bytes.last_mut() {
            *last ^= 0xff;
        }
        Self(bytes)
    }

    fn mapping(self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.0;
        [a, b, c, d]
    }

    fn stage(self) -> u8 {
        let [_, _, _, _, stage, ..] = self.0;
        stage
    }

    pub(super) fn same_mapping(self, other: Self) -> bool {
        self.mapping() == other.mapping()
    }

    pub(super) fn same_stage(self, other: Self) -> bool {
        self.stage() == other.stage()
    }
}

/// Makes bases; what is the same for all resources is digested once.
#[derive(Debug, Clone, Copy)]
pub(super) struct BasisMaker<'a> {
    mapping: Digest,
    settings: Digest,
    verdicts: &'a Verdicts,
    attachments: &'a Attachments,
}

impl<'a> BasisMaker<'a> {
    pub(super) fn new(input: &Input<'a>) -> Self {
        let mut settings = Vec::new();
        for (field, authority) in input.terms.authority {
            settings.extend([field.as_bytes(), authority.as_str().as_bytes()]);
        }
        let ownership = ownership_digest(input.ownership);
        settings.push(ownership.as_bytes());
        Self {
            mapping: input.terms.target.mapping_digest(),
            settings: Digest::of_parts(settings),
            verdicts: input.verdicts,
            attachments: input.attachments,
        }
    }

    pub(super) fn make(&self, known: &Known, stage: Stage) -> Basis {
        let flag = known.flag.as_deref().unwrap_or_default();
        let has_flag = [u8::from(known.flag.is_some())];
        let overrides = overrides(self.verdicts.of(&known.resource.key));
        let [a, b, c, d, ..] = *self.mapping.as_bytes();
        let attached = self.attachments.of(&known.resource.key).map(attached_bytes);
        let parts = [
            self.mapping.as_bytes().as_slice(),
            self.settings.as_bytes(),
            known.digest.as_bytes(),
            &[disposition_byte(known.disposition)],
            &has_flag,
            flag.as_bytes(),
            overrides.as_bytes(),
        ];
        // Of what nothing is counted the basis is what it was before anything was.
        let rest = Digest::of_parts(parts.into_iter().chain(attached.as_ref().map(<[u8; 27]>::as_slice)));
        let mut bytes = *rest.as_bytes();
        for (byte, value) in bytes.iter_mut().zip([a, b, c, d, stage_byte(stage)]) {
            *byte = value;
        }
        Basis(bytes)
    }
}

/// Each count behind a byte that says whether it is known.
fn attached_bytes(attached: Attached) -> [u8; 27] {
    let Attached { interfaces, volumes, volume_gib } = attached;
    let mut bytes = [0; 27];
    for (place, count) in bytes.chunks_exact_mut(9).zip([interfaces, volumes, volume_gib]) {
        if let (Some(count), [is_known, number @ ..]) = (count, place) {
            *is_known = 1;
            number.copy_from_slice(&count.to_le_bytes());
        }
    }
    bytes
}

/// Values that rules put in place of others, or might, as JSON; empty where there are none, which is nearly everywhere.
fn overrides(verdict: &Verdict) -> String {
    let Verdict { attributes, unknown, .. } = verdict;
    match (attributes.is_empty(), unknown.is_empty()) {
        (true, true) => String::new(),
        (false, true) => serde_json::to_string(attributes).unwrap_or_else(|_| format!("{attributes:?}")),
        // A record that keeps a value because a rule could not be asked is not the one that a rule gave that value, or none.
        (_, false) => serde_json::to_string(&(attributes, unknown)).unwrap_or_else(|_| format!("{attributes:?} {unknown:?}")),
    }
}

fn ownership_digest(ownership: &Ownership) -> Digest {
    let mut parts: Vec<&[u8]> = Vec::new();
    // How many of each there are, so that no two lists run together.
    let counts: Vec<String> =
        Fact::ALL.iter().map(|fact| ownership.of(*fact)).map(|of| format!("{} {}", of.tags.len(), of.values.len())).collect();
    for (fact, count) in Fact::ALL.iter().zip(&counts) {
        let FactTags { tags, values } = ownership.of(*fact);
        parts.push(count.as_bytes());
        parts.extend(tags.iter().map(String::as_bytes));
        parts.extend(values.iter().flat_map(|(from, to)| [from.as_bytes(), to.as_bytes()]));
    }
    Digest::of_parts(parts)
}

/// Numbers that are stored in ledgers: never given to another stage.
fn stage_byte(stage: Stage) -> u8 {
    match stage {
        Stage::Deferred => 0,
        Stage::Active => 1,
        Stage::Inactive => 2,
        Stage::Missing => 3,
        Stage::Retired => 4,
        Stage::Purged => 5,
    }
}

fn disposition_byte(disposition: Disposition) -> u8 {
    match disposition {
        Disposition::Record => 0,
        Disposition::Defer => 1,
        Disposition::Fold => 2,
        Disposition::Ignore => 3,
    }
}
