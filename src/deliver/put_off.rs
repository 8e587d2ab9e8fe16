//! What a target asks to send a moment later: its rate is used up, or the time of the batch is over.

use std::time::Duration;

use super::{ChangeKind, Due, Engine, Stop};
use crate::target::TargetError;

/// Writes of a batch that the target did not take, while it took others.
pub(super) struct PutOff {
    pub(super) dues: Vec<Due>,
    /// For how long, as it says.
    pub(super) seconds: u64,
}

impl Engine<'_, '_> {
    /// Keeps a write to be sent again.
    pub(super) fn put_off(&mut self, due: Due, seconds: u64) {
        let put_off = self.put_off.get_or_insert_with(|| PutOff { dues: Vec::new(), seconds });
        put_off.dues.push(due);
        put_off.seconds = put_off.seconds.max(seconds);
    }

    /// Sends what was put off, until the target took all of it or asks for a wait that there is no time for.
    pub(super) async fn resend(&mut self, kind: ChangeKind) -> Result<(), Stop> {
        while let Some(PutOff { dues, seconds }) = self.put_off.take() {
            if !self.waited(Duration::from_secs(seconds.max(1))).await {
                self.outcome.waiting += dues.len() as u64;
                let busy = TargetError::Busy { target: self.delivery.target.name().clone(), seconds };
                return Err(self.must_stop().await.unwrap_or(Stop::Target(busy)));
            }
            let dues = self.anew(dues);
            let Some(noted) = self.begin(dues).await? else { continue };
            self.count_call(kind);
            match self.send(kind, &noted).await {
                Ok(answers) => {
                    self.silences = 0;
                    let answered = self.answers(noted, answers);
                    self.note(answered).await?;
                }
                Err(error) => Box::pin(self.halve(kind, noted, error)).await?,
            }
        }
        Ok(())
    }
}
