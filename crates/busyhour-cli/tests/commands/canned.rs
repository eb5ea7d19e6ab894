//! A collector that always says the same: real HTTP, fixed answers.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What was asked: method, address with query, body.
pub(crate) type Asked = (String, String, Value);

pub(crate) struct Canned {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    bearers: Arc<Mutex<Vec<Option<String>>>>,
}

impl Canned {
    /// Answers `GET /api/v1…` and `POST /api/v1…` by method and path, with the query where an answer
    /// names it; anything else is 404.
    pub(crate) fn start(answers: &[(&str, u16, Value)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: HashMap<String, (u16, Value)> = answers
            .iter()
            .map(|(request, status, body)| ((*request).to_owned(), (*status, body.clone())))
            .collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let bearers = Arc::new(Mutex::new(Vec::new()));
        let for_thread = (Arc::clone(&asked), Arc::clone(&bearers));
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that hangs up early has its answer.
                let _ = answer(stream.unwrap(), &answers, &for_thread);
            }
        });
        Self { url, asked, bearers }
    }

    /// What each question was signed with.
    pub(crate) fn bearers(&self) -> Vec<Option<String>> {
        self.bearers.lock().unwrap().clone()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// What the thread that answers tells the test.
type Shared<T> = Arc<Mutex<Vec<T>>>;

fn answer(
    mut stream: TcpStream,
    answers: &HashMap<String, (u16, Value)>,
    (asked, bearers): &(Shared<Asked>, Shared<Option<String>>),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut length = 0;
    let mut bearer = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap();
        } else if name.eq_ignore_ascii_case("authorization") {
            bearer = Some(value.to_owned());
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let key = format!("{method} {}", path.trim_start_matches("/api/v1"));
    let exact = format!("{method} {}", target.trim_start_matches("/api/v1"));
    bearers.lock().unwrap().push(bearer);
    asked.lock().unwrap().push((method, target, body));
    let (status, body) =
        answers.get(&exact).or_else(|| answers.get(&key)).cloned().unwrap_or((404, Value::Null));
    let body = match body {
        Value::String(text) => text,
        other => other.to_string(),
    };
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
