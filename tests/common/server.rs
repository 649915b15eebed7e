//! An HTTP server on loopback that does what a test says, also the worst.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a path answers.
#[derive(Clone)]
pub enum Answer {
    /// The bytes, and parts of them.
    Bytes(Vec<u8>),
    /// The connection dies after so many bytes of each answer; parts can be had.
    Dies { bytes: Vec<u8>, after: usize },
    /// The same, and each answer begins at the beginning.
    DiesWithoutParts { bytes: Vec<u8>, after: usize },
    /// The connection stays, and nothing more comes after so many bytes.
    Stalls { bytes: Vec<u8>, after: usize },
    /// A status with these headers, so many times; then the bytes.
    Status { status: &'static str, headers: &'static str, times: usize, bytes: Vec<u8> },
    /// To another path.
    Redirect(&'static str),
    /// Without a length, as long as anybody reads.
    Endless,
}

type Answers = Arc<Mutex<BTreeMap<String, Answer>>>;
/// Paths, and where the answer to each began.
type Asked = Arc<Mutex<Vec<(String, usize)>>>;

pub struct Server {
    pub url: String,
    answers: Answers,
    asked: Asked,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answers, asked) = (Answers::default(), Asked::default());
        let server = Self { url, answers: answers.clone(), asked: asked.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, asked) = (answers.clone(), asked.clone());
                std::thread::spawn(move || serve(stream, &answers, &asked));
            }
        });
        server
    }

    pub fn put(&self, path: &str, answer: Answer) -> String {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
        format!("{}{path}", self.url)
    }

    /// Where each answer to `path` began.
    pub fn asked(&self, path: &str) -> Vec<usize> {
        self.asked.lock().unwrap().iter().filter(|(asked, _)| asked == path).map(|(_, at)| *at).collect()
    }

    pub fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }
}

/// One request, one connection.
fn serve(mut stream: TcpStream, answers: &Answers, asked: &Asked) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut start = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().ok()?;
        }
    }
    let answer = answers.lock().unwrap().get(&path).cloned();
    if let Some(Answer::Status { times, .. }) = answers.lock().unwrap().get_mut(&path) {
        *times = times.saturating_sub(1);
    }
    let takes_parts = matches!(answer, Some(Answer::Bytes(_) | Answer::Dies { .. } | Answer::Stalls { .. }));
    asked.lock().unwrap().push((path, if takes_parts { start } else { 0 }));
    let part = |bytes: &[u8], start: usize| match start {
        0 => format!("HTTP/1.1 200 OK\r\nETag: \"{}\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len(), bytes.len()),
        start => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            bytes.len() - 1,
            bytes.len(),
            bytes.len() - start
        ),
    };
    match answer {
        None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").ok()?,
        Some(Answer::Bytes(bytes)) => {
            stream.write_all(part(&bytes, start).as_bytes()).ok()?;
            stream.write_all(&bytes[start..]).ok()?;
        }
        Some(Answer::Dies { bytes, after }) => {
            stream.write_all(part(&bytes, start).as_bytes()).ok()?;
            stream.write_all(&bytes[start..bytes.len().min(start + after)]).ok()?;
        }
        Some(Answer::DiesWithoutParts { bytes, after }) => {
            stream.write_all(part(&bytes, 0).as_bytes()).ok()?;
            stream.write_all(&bytes[..after]).ok()?;
        }
        Some(Answer::Stalls { bytes, after }) => {
            stream.write_all(part(&bytes, start).as_bytes()).ok()?;
            stream.write_all(&bytes[start..bytes.len().min(start + after)]).ok()?;
            std::thread::sleep(Duration::from_secs(30));
        }
        Some(Answer::Status { times: 0, bytes, .. }) => {
            stream.write_all(part(&bytes, 0).as_bytes()).ok()?;
            stream.write_all(&bytes).ok()?;
        }
        Some(Answer::Status { status, headers, .. }) => {
            stream.write_all(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
        }
        Some(Answer::Redirect(to)) => {
            stream
                .write_all(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
                .ok()?;
        }
        Some(Answer::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").ok()?;
            while stream.write_all(&[0; 65536]).is_ok() {}
        }
    }
    Some(())
}
