//! Creates that go out with edges ([`Together`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Due, Engine, Stop};
use crate::model::{Account, EdgeId, Key, Kind, Region};
use crate::plan::{Change, ChangeKind};
use crate::target::Together;

/// Edges that may go out with creates.
enum Edges {
    /// Each with the create that makes its last end.
    Completed(Completed),
    /// Each with the create of the record that holds it.
    Held(Held),
}

/// Edges that wait for one of their ends to be made.
struct Completed {
    changes: Vec<Option<Change>>,
    /// How many ends of each do not stand yet.
    missing: Vec<usize>,
    /// By end that does not stand yet.
    by_end: BTreeMap<Key, Vec<usize>>,
}

impl Completed {
    fn new(changes: Vec<Change>, stands: impl Fn(&Key) -> bool) -> Self {
        let mut edges = Self { changes: Vec::new(), missing: Vec::new(), by_end: BTreeMap::new() };
        for change in changes {
            let number = edges.changes.len();
            let ends = change.relation.iter().flat_map(|EdgeId { from, to, .. }| [from, to]);
            let missing: BTreeSet<&Key> = ends.filter(|end| !stands(end)).collect();
            edges.missing.push(missing.len());
            for end in missing {
                edges.by_end.entry(end.clone()).or_default().push(number);
            }
            edges.changes.push(Some(change));
        }
        edges
    }

    /// The edges whose last end this is.
    fn by(&mut self, end: &Key) -> Vec<Change> {
        let mut completed = Vec::new();
        for number in self.by_end.remove(end).unwrap_or_default() {
            if let Some(missing) = self.missing.get_mut(number) {
                *missing = missing.saturating_sub(1);
                if *missing == 0 {
                    completed.extend(self.changes.get_mut(number).and_then(Option::take));
                }
            }
        }
        completed
    }
}

/// Edges that new records hold, by these, each with its other end.
#[derive(Default)]
struct Held {
    by_keeper: BTreeMap<Key, Vec<(Key, Change)>>,
    /// Those that do not go out with a create.
    left: Vec<Change>,
}

impl Held {
    /// The edges of a record whose other end stands; the others are left.
    fn by(&mut self, keeper: &Key, stands: impl Fn(&Key) -> bool) -> Vec<Change> {
        let mut ready = Vec::new();
        for (other, change) in self.by_keeper.remove(keeper).unwrap_or_default() {
            if stands(&other) { &mut ready } else { &mut self.left }.push(change);
        }
        ready
    }
}

impl Edges {
    /// The edges that go out with a create.
    fn with(&mut self, made: &Key, stands: impl Fn(&Key) -> bool) -> Vec<Change> {
        match self {
            Self::Completed(edges) => edges.by(made),
            Self::Held(edges) => edges.by(made, stands),
        }
    }

    /// All that were not handed out.
    fn left(self) -> Vec<Change> {
        match self {
            Self::Completed(edges) => edges.changes.into_iter().flatten().collect(),
            Self::Held(Held { by_keeper, mut left }) => {
                left.extend(by_keeper.into_values().flatten().map(|(_, change)| change));
                left
            }
        }
    }
}

/// A create with the place that its batch has to lie in.
struct Placed {
    place: Option<(Account, Region)>,
    change: Change,
}

impl Engine<'_, '_> {
    /// Sends creates, and with them edges. Gives back the edges that are left.
    ///
    /// A batch needs the answers to the last one, which say what the records are called that it hangs on: none is prepared ahead.
    pub(super) async fn closures(
        &mut self,
        together: Together,
        creates: Vec<Change>,
        edges: Vec<Change>,
    ) -> (Vec<Change>, Result<(), Stop>) {
        let (mut creates, mut edges) = match together {
            Together::Edges => self.by_reference(creates, edges),
            Together::Places | Together::Nothing => self.by_place(creates, edges),
        };
        let ended = loop {
            if creates.is_empty() {
                break Ok(());
            }
            if let Some(stop) = self.must_stop().await {
                break Err(stop);
            }
            let batch = self.next_closure(&mut creates, &mut edges);
            if let Err(stop) = self.send_closure(batch).await {
                break Err(stop);
            }
        };
        self.outcome.waiting += creates.len() as u64;
        (edges.left(), ended)
    }

    /// By account and region, hosts first.
    fn by_place(&self, creates: Vec<Change>, edges: Vec<Change>) -> (VecDeque<Placed>, Edges) {
        let edges = Completed::new(edges, |end| self.writer.addressed(end).is_some());
        let mut creates: Vec<Placed> = creates
            .into_iter()
            .map(|change| {
                let about = (self.delivery.about)(&change.key);
                Placed { place: Some((about.account, about.region)), change }
            })
            .collect();
        creates.sort_by(|a, b| (&a.place, a.change.kind, &a.change.key).cmp(&(&b.place, b.change.kind, &b.change.key)));
        (creates.into(), Edges::Completed(edges))
    }

    /// What a record leads to before it.
    fn by_reference(&self, creates: Vec<Change>, edges: Vec<Change>) -> (VecDeque<Placed>, Edges) {
        let kinds: BTreeMap<Key, Kind> = creates.iter().map(|change| (change.key.clone(), change.kind)).collect();
        let created = |key: &Key| kinds.get(key).map(|kind| (*kind, key.clone()));
        let mut held = Held::default();
        let mut leads = Vec::new();
        for change in edges {
            let ends = self.held(&change).map(|(keeper, other)| (created(keeper), other.clone()));
            let Some((Some(keeper), other)) = ends else {
                held.left.push(change);
                continue;
            };
            held.by_keeper.entry(keeper.1.clone()).or_default().push((other.clone(), change));
            leads.extend(created(&other).map(|other| (keeper, other)));
        }
        let order = in_order(kinds.keys().filter_map(&created), leads);
        let mut by_key: BTreeMap<Key, Change> = creates.into_iter().map(|change| (change.key.clone(), change)).collect();
        let creates = order.into_iter().filter_map(|(_, key)| by_key.remove(&key));
        (creates.map(|change| Placed { place: None, change }).collect(), Edges::Held(held))
    }

    fn next_closure(&mut self, creates: &mut VecDeque<Placed>, edges: &mut Edges) -> Vec<Due> {
        let size = self.delivery.target.creates_at_once().min(self.size_max).max(1);
        let place = creates.front().map(|create| create.place.clone());
        let mut made = BTreeSet::new();
        let mut batch = Vec::new();
        while made.len() < size
            && creates.front().map(|create| &create.place) == place.as_ref()
            && let Some(Placed { mut change, .. }) = creates.pop_front()
        {
            (self.delivery.fill)(&mut change);
            let key = change.key.clone();
            let Some(due) = self.due(change, &made) else { continue };
            batch.push(due);
            made.insert(key.clone());
            let ready = edges.with(&key, |end| made.contains(end) || self.writer.addressed(end).is_some());
            for edge in ready {
                batch.extend(self.due(edge, &made));
            }
        }
        batch
    }

    async fn send_closure(&mut self, batch: Vec<Due>) -> Result<(), Stop> {
        let Some(noted) = self.begin(batch).await? else { return Ok(()) };
        self.count_call(ChangeKind::Create);
        match self.send(ChangeKind::Create, &noted).await {
            Ok(answers) => {
                self.silences = 0;
                let answered = self.answers(noted, answers);
                self.note(answered).await?;
                self.resend(ChangeKind::Create).await
            }
            Err(error) => self.halve(ChangeKind::Create, noted, error).await,
        }
    }

    /// Part of a batch, as it has to be written now: what it hangs on may stand by now, or be in the other part.
    pub(super) fn anew(&mut self, part: Vec<Due>) -> Vec<Due> {
        if self.delivery.target.together() == Together::Nothing {
            return part;
        }
        let mut made = BTreeSet::new();
        let mut dues = Vec::with_capacity(part.len());
        for due in part {
            // Where it was sent before without an answer, that stays in flight, and the next run looks up what became of it.
            let Some(write) = self.writer.make(&due.change, &made) else {
                self.outcome.waiting += 1;
                continue;
            };
            if due.change.change == ChangeKind::Create {
                made.insert(due.change.key.clone());
            }
            dues.push(Due { write, ..due });
        }
        dues
    }
}

/// All of these, each behind what it leads to. Of what is free at the same time the least comes first, and where they go in circles the least of what is left.
fn in_order<T: Ord + Clone>(all: impl IntoIterator<Item = T>, leads: Vec<(T, T)>) -> Vec<T> {
    let mut missing: BTreeMap<T, BTreeSet<T>> = all.into_iter().map(|one| (one, BTreeSet::new())).collect();
    let mut awaited_by: BTreeMap<T, Vec<T>> = BTreeMap::new();
    for (from, to) in leads {
        if from != to && missing.get_mut(&from).is_some_and(|missing| missing.insert(to.clone())) {
            awaited_by.entry(to).or_default().push(from);
        }
    }
    let mut free: BTreeSet<T> = missing.iter().filter(|(_, missing)| missing.is_empty()).map(|(one, _)| one.clone()).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(next) = free.pop_first().or_else(|| missing.keys().next().cloned()) {
        missing.remove(&next);
        for waiting in awaited_by.remove(&next).unwrap_or_default() {
            if let Some(left) = missing.get_mut(&waiting) {
                left.remove(&next);
                if left.is_empty() {
                    free.insert(waiting);
                }
            }
        }
        order.push(next);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_led_to_comes_first() {
        assert_eq!(in_order(1..=4, vec![(1, 3), (3, 4), (2, 4), (1, 2)]), [4, 2, 3, 1]);
        assert_eq!(in_order(1..=3, Vec::new()), [1, 2, 3]);
    }

    #[test]
    fn a_circle_is_broken_once() {
        // 1 leads to 2, 2 to 3, 3 back to 1; 4 leads to 2.
        assert_eq!(in_order(1..=4, vec![(1, 2), (2, 3), (3, 1), (4, 2)]), [1, 3, 2, 4]);
        assert_eq!(in_order(1..=2, vec![(1, 1), (2, 1)]), [1, 2]);
    }
}
