//! `dewpoint export`.

use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;
use tempfile::NamedTempFile;

use super::App;
use super::args::ExportForm;
use super::ledger_error;
use super::output::CommandError;
use crate::estate::Estate;
use crate::export;

impl App {
    /// Writes the inventory to standard output, or to a file that appears whole or not at all.
    pub(super) async fn export(&self, form: ExportForm, out: Option<&Path>) -> Result<(), CommandError> {
        let (_, ledger) = self.reading().await?;
        let estate = ledger.load_estate().await.map_err(ledger_error)?.estate;
        let failed = |place: &str, error: &dyn std::error::Error| CommandError::failed(format!("cannot write {place}: {error}"));
        let Some(path) = out.filter(|path| *path != Path::new("-")) else {
            let mut buffer = std::io::BufWriter::new(std::io::stdout().lock());
            return match write(&estate, form, &mut buffer).and_then(|()| buffer.flush()) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(failed("to standard output", &error)),
                _ => Ok(()),
            };
        };
        let place = path.display().to_string();
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut file = NamedTempFile::new_in(folder).map_err(|error| failed(&place, &error))?;
        let mut buffer = std::io::BufWriter::new(file.as_file_mut());
        write(&estate, form, &mut buffer).and_then(|()| buffer.flush()).map_err(|error| failed(&place, &error))?;
        drop(buffer);
        file.as_file().sync_all().map_err(|error| failed(&place, &error))?;
        file.persist(path).map_err(|error| failed(&place, &error.error))?;
        self.output.answer(&json!({ "file": path }), || format!("wrote {place}"))
    }
}

fn write(estate: &Estate, form: ExportForm, out: &mut impl Write) -> std::io::Result<()> {
    match form {
        ExportForm::Json => export::write_json(estate, taken_at(estate), out),
        ExportForm::Csv => export::write_csv(estate, out),
    }
}

/// The time of the newest listing: two exports of one ledger are the same bytes.
fn taken_at(estate: &Estate) -> Timestamp {
    estate.scopes.values().map(|scope| scope.at).max().unwrap_or(Timestamp::UNIX_EPOCH)
}
