//! Creates that go out with all that they depend on: by account and region, hosts first, each with the edges whose last end it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Due, Engine, Stop};
use crate::model::{Account, EdgeId, Key, Region};
use crate::plan::{Change, ChangeKind};

/// Edges that wait for one of their ends to be made.
struct Edges {
    changes: Vec<Option<Change>>,
    /// How many ends of each do not stand yet.
    missing: Vec<usize>,
    /// By end that does not stand yet.
    by_end: BTreeMap<Key, Vec<usize>>,
}

impl Edges {
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
    fn completed_by(&mut self, end: &Key) -> Vec<Change> {
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

    /// All that were not handed out.
    fn left(self) -> Vec<Change> {
        self.changes.into_iter().flatten().collect()
    }
}

/// A create with the place that it lies in.
struct Placed {
    place: (Account, Region),
    change: Change,
}

impl Engine<'_, '_> {
    /// Sends creates, and with them the edges that they complete. Gives back the edges whose ends stood before, or do not stand yet.
    ///
    /// A batch needs the answers to the last one, which say what the records are called that it hangs on: none is prepared ahead.
    pub(super) async fn closures(&mut self, creates: Vec<Change>, edges: Vec<Change>) -> (Vec<Change>, Result<(), Stop>) {
        let mut edges = Edges::new(edges, |end| self.writer.addressed(end).is_some());
        let mut creates: Vec<Placed> = creates
            .into_iter()
            .map(|change| {
                let about = (self.delivery.about)(&change.key);
                Placed { place: (about.account, about.region), change }
            })
            .collect();
        creates.sort_by(|a, b| (&a.place, a.change.kind, &a.change.key).cmp(&(&b.place, b.change.kind, &b.change.key)));
        let mut creates: VecDeque<Placed> = creates.into();
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

    fn next_closure(&mut self, creates: &mut VecDeque<Placed>, edges: &mut Edges) -> Vec<Due> {
        let size = self.delivery.target.batch_size().max(1);
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
            for edge in edges.completed_by(&key) {
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
                self.note(answered).await.map(drop)
            }
            Err(error) => self.halve(ChangeKind::Create, noted, error).await,
        }
    }

    /// Part of a batch, as it has to be written now: what it hangs on may stand by now, or be in the other part.
    pub(super) fn anew(&mut self, part: Vec<Due>) -> Vec<Due> {
        if !self.delivery.target.takes_closures() {
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
