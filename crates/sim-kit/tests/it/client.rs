//! A client that shows what came, byte by byte.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
};

use dewpoint_sim_kit::Handle;
use serde_json::Value;

use crate::shop::Shop;

/// What came of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// As much of the body as came.
    pub(crate) text: String,
    /// What the connection ended with before the body did.
    pub(crate) broken: Option<io::ErrorKind>,
}

/// One connection.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn new(sim: &Handle<Shop>) -> Self {
        let socket = TcpStream::connect(sim.url().trim_start_matches("http://")).unwrap();
        Self(BufReader::new(socket))
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn send(&mut self, method: &str, target: &str, body: &str) {
        self.write(&format!("{method} {target} HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    }

    /// The next line, without its end; an error when there is none.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    pub(crate) fn receive(&mut self) -> io::Result<Answer> {
        let status = self.line()?.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let announced: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = Vec::new();
        let broken = loop {
            let mut byte = [0];
            match if body.len() == announced { break None } else { self.0.read(&mut byte) } {
                Ok(0) => break Some(io::ErrorKind::UnexpectedEof),
                Ok(_) => body.push(byte[0]),
                Err(error) => break Some(error.kind()),
            }
        };
        Ok(Answer { status, headers, text: String::from_utf8(body).unwrap(), broken })
    }

    pub(crate) fn call(&mut self, method: &str, target: &str, body: &str) -> io::Result<Answer> {
        self.send(method, target, body);
        self.receive()
    }
}

/// One request on a connection of its own.
pub(crate) fn call(sim: &Handle<Shop>, method: &str, target: &str, body: &str) -> io::Result<Answer> {
    Connection::new(sim).call(method, target, body)
}

/// A control: status and body.
pub(crate) fn control(sim: &Handle<Shop>, method: &str, path: &str, body: &str) -> (u16, Value) {
    let answer = call(sim, method, &format!("/_sim/{path}"), body).unwrap();
    (answer.status, if answer.text.is_empty() { Value::Null } else { serde_json::from_str(&answer.text).unwrap() })
}
