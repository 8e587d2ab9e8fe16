//! Opening, and what stands in the way of it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::{Connection, SqliteConnection};

use super::samples::{at, change, deliver, done, estate, key, known, lease, resource, run, target};
use super::{Place, on_both};
use crate::ledger::{Ledger, LedgerAddress, LedgerError, Mode, exists, open};
use crate::plan::ChangeKind;

on_both!(
    reading_a_ledger_that_is_not_there_makes_none,
    reading_refuses_to_write,
    a_newer_ledger_is_refused,
    an_older_ledger_is_brought_up_to_date,
    writing_without_leave_to_create_needs_a_ledger,
    several_may_be_born_at_once,
);

const WRITE: Mode = Mode::ReadWrite { create: true };

fn path(place: &Place) -> PathBuf {
    match &place.address {
        LedgerAddress::Sqlite { path } => path.clone(),
        LedgerAddress::Postgres(_) => panic!("not a file"),
    }
}

async fn refusal(place: &Place, mode: Mode) -> LedgerError {
    match open(&place.address, mode).await {
        Err(error) => error,
        Ok(_) => panic!("it opened"),
    }
}

fn some_estate() -> crate::estate::Estate {
    estate([known(resource(1), 1, at(0))])
}

async fn reading_a_ledger_that_is_not_there_makes_none(place: &Place) {
    let ledger = open(&place.address, Mode::Read).await.unwrap();
    assert!(ledger.load_estate().await.unwrap().estate.resources.is_empty());
    assert!(ledger.load_target(&target(), at(0)).await.unwrap().records.is_empty());
    ledger.close().await;
    assert!(!exists(&place.address).await.unwrap());
    if let Some(folder) = &place.folder {
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    assert!(matches!(refusal(place, Mode::ReadWrite { create: false }).await, LedgerError::Absent { .. }));
}

async fn reading_refuses_to_write(place: &Place) {
    let ledger = place.open().await;
    ledger.commit(&run(), 0, &some_estate()).await.unwrap();
    let reader = open(&place.address, Mode::Read).await.unwrap();
    assert_eq!(reader.load_estate().await.unwrap().version, 1);
    let written = reader.draw_fence().await;
    assert!(matches!(written, Err(LedgerError::ReadOnly { .. })), "{written:?}");
    ledger.draw_fence().await.unwrap();
}

async fn a_newer_ledger_is_refused(place: &Place) {
    place.open().await.close().await;
    place
        .tamper(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 9000, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
    for mode in [Mode::Read, WRITE] {
        let error = refusal(place, mode).await;
        assert!(matches!(&error, LedgerError::Newer { found: 9000, known: 3, address } if !address.is_empty()), "{error:?}");
    }
}

async fn an_older_ledger_is_brought_up_to_date(place: &Place) {
    let ledger = place.open().await;
    ledger.note_target(&target(), "local", "cmdb.db", &crate::ledger::TargetNews::Paused(false)).await.unwrap();
    let holder = lease(&*ledger, "a", at(0)).await;
    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Create), done(1))], at(1)).await;
    let before = ledger.load_target(&target(), at(0)).await.unwrap();
    ledger.close().await;
    for undo in [
        "ALTER TABLE record DROP COLUMN beat_at",
        "ALTER TABLE target DROP COLUMN met_at",
        "ALTER TABLE record_edge DROP COLUMN missed",
        "DELETE FROM _sqlx_migrations WHERE version IN (2, 3)",
    ] {
        place.tamper(undo).await;
    }
    let error = refusal(place, Mode::Read).await;
    assert!(error.to_string().contains("older"), "{error}");
    let ledger = place.open().await;
    assert_eq!(ledger.load_target(&target(), at(0)).await.unwrap(), before);
    ledger.note_beats(&holder, &[key(1)], at(2)).await.unwrap();
}

async fn writing_without_leave_to_create_needs_a_ledger(place: &Place) {
    assert!(matches!(refusal(place, Mode::ReadWrite { create: false }).await, LedgerError::Absent { .. }));
    place.open().await.close().await;
    assert!(exists(&place.address).await.unwrap());
    open(&place.address, Mode::ReadWrite { create: false }).await.unwrap();
}

async fn several_may_be_born_at_once(place: &Place) {
    let born = futures::future::join_all((0..4).map(|_| place.open())).await;
    let mut names = Vec::new();
    for ledger in &born {
        names.push(ledger.estate_id().await.unwrap());
    }
    names.dedup();
    assert_eq!(names.len(), 1);
    if let Some(folder) = &place.folder {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(files.into_iter().all(|name| name.starts_with("dewpoint.db")), "nothing half made is left");
    }
}

#[tokio::test]
async fn a_file_is_private_and_marked() {
    let place = Place::file();
    let ledger = place.open().await;
    ledger.draw_fence().await.unwrap();
    for name in ["dewpoint.db", "dewpoint.db-wal"] {
        let file = std::fs::metadata(path(&place).with_file_name(name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
    ledger.close().await;
    assert_eq!(&std::fs::read(path(&place)).unwrap()[68..72], b"dwpl");
}

#[tokio::test]
async fn an_empty_file_becomes_a_ledger() {
    let place = Place::file();
    std::fs::write(path(&place), b"").unwrap();
    place.open().await.draw_fence().await.unwrap();
}

#[tokio::test]
async fn what_is_no_ledger_is_left_as_it_is() {
    let place = Place::file();
    std::fs::write(path(&place), "sources: []\n".repeat(200)).unwrap();
    let text = std::fs::read(path(&place)).unwrap();
    assert!(matches!(refusal(&place, WRITE).await, LedgerError::Unusable { .. }));
    assert_eq!(std::fs::read(path(&place)).unwrap(), text);

    let other = Place::file();
    other.tamper_new("CREATE TABLE song (title TEXT)").await;
    let database = std::fs::read(path(&other)).unwrap();
    for mode in [Mode::Read, WRITE] {
        assert!(matches!(refusal(&other, mode).await, LedgerError::Unusable { .. }));
    }
    assert_eq!(std::fs::read(path(&other)).unwrap(), database);
}

#[tokio::test]
async fn a_damaged_file_is_unusable() {
    let place = Place::file();
    let ledger = place.open().await;
    let many = estate((0..500).map(|n| known(resource(n), 1, at(0))));
    ledger.commit(&run(), 0, &many).await.unwrap();
    ledger.close().await;
    let mut bytes = std::fs::read(path(&place)).unwrap();
    let quarter = bytes.len() / 4;
    bytes[quarter..].fill(0x5a);
    std::fs::write(path(&place), bytes).unwrap();
    let loaded = match open(&place.address, WRITE).await {
        Ok(ledger) => ledger.load_estate().await.map(drop),
        Err(error) => Err(error),
    };
    assert!(matches!(loaded, Err(LedgerError::Unusable { .. } | LedgerError::Corrupt { .. })), "{loaded:?}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let mut place = Place::file();
    let folder = place.folder.as_ref().unwrap().path();
    place.address = LedgerAddress::parse("sqlite://nowhere/dewpoint.db", folder, None).unwrap();
    let error = refusal(&place, WRITE).await;
    assert!(matches!(&error, LedgerError::Absent { .. }), "{error:?}");
    assert!(error.to_string().contains("nowhere/dewpoint.db"));
}

#[tokio::test]
async fn another_s_lock_is_waited_for_then_named() {
    let place = Place::file();
    let ledger = place.open().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path(&place));
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let refused = ledger.draw_fence().await;
    assert!(matches!(refused, Err(LedgerError::Locked { .. })), "{refused:?}");
    assert!(ledger.load_estate().await.is_ok(), "reading goes on");
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    ledger.draw_fence().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_half_written() {
    let place = Place::file();
    let ledger = place.open().await;
    ledger.commit(&run(), 0, &some_estate()).await.unwrap();
    ledger.close().await;
    let full = crate::ledger::sqlite::open_with_page_limit(&path(&place), &place.address.to_string(), 120).await.unwrap();
    let full = crate::ledger::store::Store::new(full);
    let many = estate((0..5_000).map(|n| known(resource(n), 2, at(1))));
    let refused = full.commit(&run(), 1, &many).await;
    assert!(matches!(refused, Err(LedgerError::Full { .. })), "{refused:?}");
    assert_eq!(full.load_estate().await.unwrap().version, 1);
    full.close().await;
    let ledger = place.open().await;
    assert_eq!(ledger.load_estate().await.unwrap().estate.resources.len(), 1);
    assert_eq!(ledger.commit(&run(), 1, &many).await.unwrap(), 2);
}

/// Runs itself once more under a limit on the size of files, as `ulimit -f` sets it.
#[tokio::test]
async fn a_file_size_limit_is_no_room() {
    const FOLDER: &str = "DEWPOINT_TEST_FOLDER";
    let many = estate((0..5_000).map(|n| known(resource(n), 2, at(1))));
    if let Some(folder) = std::env::var_os(FOLDER) {
        let address = LedgerAddress::parse("sqlite://dewpoint.db", Path::new(&folder), None).unwrap();
        let ledger = open(&address, WRITE).await.unwrap();
        let refused = ledger.commit(&run(), 1, &many).await;
        assert!(matches!(refused, Err(LedgerError::Full { .. })), "{refused:?}");
        return;
    }
    let place = Place::file();
    let ledger = place.open().await;
    ledger.commit(&run(), 0, &some_estate()).await.unwrap();
    ledger.close().await;
    let child = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$0\" --exact ledger::suite::opening::a_file_size_limit_is_no_room"])
        .arg(std::env::current_exe().unwrap())
        .env(FOLDER, place.folder.as_ref().unwrap().path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
    let ledger = place.open().await;
    assert_eq!(ledger.load_estate().await.unwrap().estate.resources.len(), 1);
    assert_eq!(ledger.commit(&run(), 1, &many).await.unwrap(), 2);
}

#[tokio::test]
async fn a_folder_without_leave_to_write_can_be_read() {
    let place = Place::file();
    let ledger = place.open().await;
    ledger.commit(&run(), 0, &some_estate()).await.unwrap();
    ledger.close().await;
    let folder = place.folder.as_ref().unwrap().path();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o500)).unwrap();
    std::fs::set_permissions(path(&place), PermissionsExt::from_mode(0o400)).unwrap();
    let read = open(&place.address, Mode::Read).await.unwrap().load_estate().await.map(|loaded| loaded.version);
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(read.unwrap(), 1);
}

async fn back_up(ledger: &dyn Ledger, to: &Path) -> Result<(), LedgerError> {
    ledger.backup(to).await
}

#[tokio::test]
async fn a_backup_opens_and_equals() {
    let place = Place::file();
    let ledger = place.open().await;
    ledger.commit(&run(), 0, &some_estate()).await.unwrap();
    let holder = lease(&*ledger, "a", at(0)).await;
    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Create), done(1))], at(1)).await;
    let mut copy = Place::file();
    let to = path(&copy);
    back_up(&*ledger, &to).await.unwrap();
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    ledger.draw_fence().await.unwrap();

    let restored = copy.open().await;
    assert_eq!(restored.estate_id().await.unwrap(), ledger.estate_id().await.unwrap());
    assert_eq!(restored.load_estate().await.unwrap().estate.resources, ledger.load_estate().await.unwrap().estate.resources);
    assert_eq!(restored.load_target(&target(), at(0)).await.unwrap(), ledger.load_target(&target(), at(0)).await.unwrap());
    assert_eq!(restored.history(&key(1)).await.unwrap(), ledger.history(&key(1)).await.unwrap());
    assert_eq!(restored.current_fence().await.unwrap().0, 0, "what came after is not in it");

    let again = back_up(&*ledger, &to).await;
    assert!(matches!(again, Err(LedgerError::Unsupported { .. })), "{again:?}");
    let nowhere = back_up(&*ledger, &to.with_file_name("no/backup.db")).await;
    assert!(matches!(nowhere, Err(LedgerError::Absent { .. })), "{nowhere:?}");
    let left = std::fs::read_dir(copy.folder.take().unwrap().keep()).unwrap();
    let names: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| name.starts_with("dewpoint.db")), "{names:?}");
}

#[tokio::test]
async fn a_database_is_backed_up_with_its_own_tools() {
    let place = Place::schema().await;
    let refused = back_up(&*place.open().await, Path::new("backup")).await;
    assert!(matches!(&refused, Err(LedgerError::Unsupported { hint, .. }) if hint.contains("pg_dump")), "{refused:?}");
    place.clear().await;
}

#[tokio::test]
async fn a_birth_that_was_cut_off_after_the_tables_is_finished() {
    for missing in ["meta", "sequence", "meta; DELETE FROM sequence"] {
        let place = Place::schema().await;
        drop(place.open().await);
        place.tamper(&format!("DELETE FROM {missing}")).await;
        let reader = open(&place.address, Mode::Read).await.unwrap();
        assert_eq!(reader.current_fence().await.unwrap(), crate::estate::Fence(0), "nothing yet");
        let ledger = place.open().await;
        assert_eq!(ledger.draw_fence().await.unwrap(), crate::estate::Fence(1));
        assert_eq!(place.open().await.estate_id().await.unwrap(), ledger.estate_id().await.unwrap());
        place.clear().await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    // Nothing listens on the port of a listener that was just closed.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://anna:s3cret@127.0.0.1:{port}/cmdb");
    let address = LedgerAddress::parse(&url, Path::new("."), None).unwrap();
    let began = Instant::now();
    let Err(error) = open(&address, WRITE).await else { panic!("it opened") };
    assert!(began.elapsed() < Duration::from_secs(5), "a refused connection is no reason to wait: {:?}", began.elapsed());
    assert!(matches!(&error, LedgerError::Unreachable { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}/cmdb")));
}
