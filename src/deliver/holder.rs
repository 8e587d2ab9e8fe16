//! Who holds a lease, and whether that process is still there.
//!
//! A killed process gives nothing back. Whoever finds its lease would have to wait until it ends, unless it can see that the process is
//! gone: that is so where both run under the same kernel, since the same boot, and number processes alike.

use std::fs;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// This process as a holder: `HOST, process PID (MARK)`. `random` tells apart several runs of one process.
///
/// The mark begins with what makes process numbers comparable, and when the process began; both are left out where the system does not say.
#[must_use]
pub fn holder(random: u32) -> String {
    let pid = std::process::id();
    let mark = place().zip(Process::read(pid)).map(|(place, process)| format!("{place}.{}.", process.started)).unwrap_or_default();
    format!("{}, process {pid} ({mark}{random:08x})", host())
}

/// A holder as people are told of it.
pub(super) fn shown(holder: &str) -> &str {
    holder.split_once(" (").map_or(holder, |(shown, _)| shown)
}

/// Whether a holder's process is known to have ended. Wherever that cannot be told, it counts as alive.
pub(super) fn is_dead(holder: &str) -> bool {
    let Some((pid, place_then, started)) = read(holder) else { return false };
    if place().as_deref() != Some(place_then) {
        return false;
    }
    // `/proc` may hide other users' processes; a signal's refusal tells "not yours" from "not there".
    let there = i32::try_from(pid).ok().and_then(Pid::from_raw).map(test_kill_process);
    match there {
        Some(Err(Errno::SRCH)) => true,
        Some(_) => Process::read(pid).is_some_and(|process| process.ended || process.started != started),
        None => false,
    }
}

/// Process number, place and start of a holder's text.
fn read(holder: &str) -> Option<(u32, &str, u64)> {
    let (shown, mark) = holder.strip_suffix(')')?.rsplit_once(" (")?;
    let (_, pid) = shown.rsplit_once(", process ")?;
    let mut parts = mark.split('.');
    let (place, started, _random) = (parts.next()?, parts.next()?, parts.next()?);
    Some((pid.parse().ok()?, place, started.parse().ok()?))
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "unknown host".to_owned(), |name| name.trim().to_owned())
}

/// Within what a process number names one process: host, boot and process namespace (containers have their own). `None` where the
/// system does not say, or where `/proc` numbers processes otherwise than this process is numbered.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let number = fs::read_link("/proc/self").ok()?;
    if number.to_str()? != std::process::id().to_string() {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    for part in [host().as_str(), boot.trim(), namespace.to_str()?] {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    Some(hasher.finalize().to_hex().chars().take(16).collect())
}

/// What `/proc/PID/stat` tells of a process.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    /// When it began, in clock ticks since the boot.
    started: u64,
    /// It has ended and only waits to be noticed by its parent.
    ended: bool,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The second field is the program's name in parentheses and may hold anything; state is the third, the start the 22nd (proc(5)).
    fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        Some(Self { started: fields.nth(18)?.parse().ok()?, ended })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
pub(super) mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// The holder that another process of this place would be.
    fn holder_of(pid: u32) -> String {
        format!("host, process {pid} ({}.{}.00000001)", place().unwrap(), Process::read(pid).unwrap().started)
    }

    /// A holder whose process has ended.
    pub(in crate::deliver) fn dead_holder() -> String {
        let mut child = Command::new("true").spawn().unwrap();
        let gone = holder_of(child.id());
        child.wait().unwrap();
        gone
    }

    #[test]
    fn a_process_is_alive_until_it_ends() {
        assert!(!is_dead(&holder(1)), "this one");
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let held = holder_of(child.id());
        assert!(!is_dead(&held));
        child.kill().unwrap();
        // Ended and not waited for: a zombie. The kill is done at some time after the call.
        while Process::read(child.id()).is_some_and(|process| !process.ended) {
            std::thread::yield_now();
        }
        assert!(is_dead(&held), "a zombie");
        child.wait().unwrap();
        assert!(is_dead(&held));
    }

    #[test]
    fn a_number_that_was_given_again_is_another_process() {
        let own = Process::read(std::process::id()).unwrap().started;
        let held = format!("host, process {} ({}.{}.00000001)", std::process::id(), place().unwrap(), own - 1);
        assert!(is_dead(&held));
    }

    #[test]
    fn nothing_is_said_of_other_places_and_other_texts() {
        let gone = dead_holder();
        assert!(is_dead(&gone));
        let elsewhere = gone.replace(&place().unwrap(), "0123456789abcdef");
        let (pid, ..) = read(&gone).unwrap();
        let texts = [elsewhere, format!("host, process {pid} (00000001)"), format!("host, process {pid}"), "a".to_owned(), String::new()];
        for text in texts {
            assert!(!is_dead(&text), "{text}");
        }
    }

    #[test]
    fn people_see_host_and_process() {
        assert_eq!(shown("db-1, process 7 (0123456789abcdef.99.00000001)"), "db-1, process 7");
        assert_eq!(shown("someone"), "someone");
    }

    #[test]
    fn a_program_s_name_may_hold_anything() {
        let stat = "42 (a) Z 1 (b) R 1 42 42 0 -1 4194560 111 0 0 0 1 0 0 0 20 0 3 0 987654 3000000 200 18446744073709551615";
        assert_eq!(Process::parse(stat), Some(Process { started: 987_654, ended: false }));
        assert_eq!(Process::parse("42 (a"), None);
    }
}
