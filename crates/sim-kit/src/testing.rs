//! For tests of and with simulators: judges in Python and JavaScript, and simulators as programs of their own.

use std::{
    env,
    ffi::OsStr,
    io::{self, BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Has a script in Python judge, with the packages that `tests/run.sh` installs. Gives what it said.
///
/// # Errors
/// What it said when it did not end well, or why it did not start.
pub fn judge<A: AsRef<OsStr>>(script: impl AsRef<Path>, arguments: impl IntoIterator<Item = A>) -> Result<String, String> {
    let python = env::var_os("DEWPOINT_TEST_PYTHON").ok_or("DEWPOINT_TEST_PYTHON is not set; run tests/run.sh")?;
    // Python would leave its compiled modules in the source tree.
    let mut command = Command::new(python);
    command.arg("-B").arg(script.as_ref()).args(arguments);
    say(command)
}

/// Has a script in JavaScript judge. Behind its arguments it is told the folder `node_modules` that `tests/run.sh` fills. Gives what it said.
///
/// # Errors
/// What it said when it did not end well, or why it did not start.
pub fn judge_by_node<A: AsRef<OsStr>>(script: impl AsRef<Path>, arguments: impl IntoIterator<Item = A>) -> Result<String, String> {
    let modules = env::var_os("DEWPOINT_TEST_NODE_MODULES").ok_or("DEWPOINT_TEST_NODE_MODULES is not set; run tests/run.sh")?;
    let mut command = Command::new("node");
    command.arg(script.as_ref()).args(arguments).arg(modules);
    say(command)
}

/// Runs a judge.
fn say(mut command: Command) -> Result<String, String> {
    // The environment's certificates would win over the script's.
    command.env("NO_PROXY", "127.0.0.1").env_remove("REQUESTS_CA_BUNDLE").env_remove("CURL_CA_BUNDLE");
    let output = command.output().map_err(|error| format!("{} did not start: {error}", command.get_program().display()))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// A simulator as a program of its own. It ends with the test, however that ends.
#[derive(Debug)]
pub struct Program {
    child: Child,
    url: String,
}

impl Program {
    /// Starts it, and waits for the address that it prints.
    ///
    /// # Errors
    /// When it cannot be started, or its output not be read.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.stdout(Stdio::piped()).spawn()?;
        let mut program = Self { child, url: String::new() };
        if let Some(output) = program.child.stdout.take() {
            BufReader::new(output).read_line(&mut program.url)?;
        }
        program.url.truncate(program.url.trim_end().len());
        Ok(program)
    }

    /// Where clients find it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Tells it to end, by SIGTERM; whether it ends in order.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn end(mut self) -> io::Result<bool> {
        let told = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status()?;
        Ok(told.success() && self.child.wait()?.success())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
