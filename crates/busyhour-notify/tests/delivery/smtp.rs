//! A small mail server that speaks real SMTP: EHLO, STARTTLS, AUTH PLAIN, MAIL, RCPT, DATA, QUIT.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// How the server protects its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    Nothing,
    Starttls,
    Tls,
}

/// A message as the server took it.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) encrypted: bool,
    pub(crate) signed_in: bool,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) data: String,
}

impl Mail {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.data.split_once("\r\n\r\n")?;
        head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

#[derive(Default)]
struct Shared {
    mails: Vec<Mail>,
    /// Every line that clients sent, as the server read it.
    heard: Vec<String>,
    /// Answers to the next messages instead of taking them.
    refusals: VecDeque<String>,
    /// Recipients, and answers to the next times they are named.
    refused: Vec<(String, String)>,
    /// Nobody answers to QUIT.
    is_silent_at_quit: bool,
    connections: usize,
}

pub(crate) struct SmtpServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    accepting: JoinHandle<()>,
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What AUTH PLAIN must carry, in base 64 (RFC 4616).
#[derive(Clone)]
pub(crate) struct Login(String);

impl Login {
    pub(crate) fn new(user: &str, password: &str) -> Self {
        Self(base64(format!("\0{user}\0{password}").as_bytes()))
    }
}

impl SmtpServer {
    pub(crate) async fn start(offer: Offer, acceptor: TlsAcceptor, login: Option<Login>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let for_sessions = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                for_sessions.lock().unwrap().connections += 1;
                let (acceptor, login) = (acceptor.clone(), login.clone());
                let shared = Arc::clone(&for_sessions);
                tokio::spawn(async move {
                    let stream: Box<dyn Stream> = match offer {
                        Offer::Tls => match acceptor.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                        Offer::Nothing | Offer::Starttls => Box::new(stream),
                    };
                    let encrypted = offer == Offer::Tls;
                    let session = Session { stream, offer, acceptor, login, encrypted, shared };
                    // The client hanging up is the ordinary end of a session.
                    let _ = session.serve().await;
                });
            }
        });
        Self { address, shared, accepting }
    }

    pub(crate) fn refuse_next(&self, answer: &str) {
        self.shared.lock().unwrap().refusals.push_back(answer.to_owned());
    }

    pub(crate) fn refuse_recipient(&self, address: &str, answer: &str) {
        self.shared.lock().unwrap().refused.push((address.to_owned(), answer.to_owned()));
    }

    /// Refuses a recipient ever so often.
    pub(crate) fn keep_refusing(&self, address: &str, answer: &str) {
        for _ in 0..100 {
            self.refuse_recipient(address, answer);
        }
    }

    /// Refuses no recipient any more.
    pub(crate) fn refuse_nobody(&self) {
        self.shared.lock().unwrap().refused.clear();
    }

    /// Takes mails from now on, and never says good-bye.
    pub(crate) fn be_silent_at_quit(&self) {
        self.shared.lock().unwrap().is_silent_at_quit = true;
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.shared.lock().unwrap().mails.clone()
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.shared.lock().unwrap().heard.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().unwrap().connections
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

struct Session {
    stream: Box<dyn Stream>,
    offer: Offer,
    acceptor: TlsAcceptor,
    login: Option<Login>,
    encrypted: bool,
    shared: Arc<Mutex<Shared>>,
}

impl Session {
    async fn serve(mut self) -> io::Result<()> {
        let (mut from, mut to, mut signed_in) = (String::new(), Vec::new(), false);
        self.say("220 localhost ready").await?;
        loop {
            let line = self.line().await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    self.say("250-localhost").await?;
                    if self.offer == Offer::Starttls && !self.encrypted {
                        self.say("250-STARTTLS").await?;
                    }
                    if self.login.is_some() {
                        self.say("250-AUTH PLAIN").await?;
                    }
                    self.say("250 8BITMIME").await?;
                }
                "STARTTLS" if self.offer == Offer::Starttls && !self.encrypted => {
                    self.say("220 go ahead").await?;
                    self.stream = Box::new(self.acceptor.accept(self.stream).await?);
                    self.encrypted = true;
                }
                "AUTH" => {
                    let given = rest.strip_prefix("PLAIN ").unwrap_or_default();
                    signed_in = self.login.as_ref().is_some_and(|login| login.0 == given);
                    let answer = if signed_in { "235 welcome" } else { "535 who are you" };
                    self.say(answer).await?;
                }
                "MAIL" if self.login.is_some() && !signed_in => {
                    self.say("530 sign in first").await?;
                }
                "MAIL" => {
                    from = address(rest);
                    to.clear();
                    self.say("250 ok").await?;
                }
                "RCPT" => {
                    let address = address(rest);
                    let refusal = {
                        let refused = &mut self.shared.lock().unwrap().refused;
                        let at = refused.iter().position(|(one, _)| *one == address);
                        at.map(|at| refused.remove(at).1)
                    };
                    match refusal {
                        Some(refusal) => self.say(&refusal).await?,
                        None => {
                            to.push(address);
                            self.say("250 ok").await?;
                        }
                    }
                }
                "DATA" if to.is_empty() => self.say("503 nobody to send to").await?,
                "DATA" => {
                    self.say("354 go on").await?;
                    let data = self.data().await?;
                    let refusal = self.shared.lock().unwrap().refusals.pop_front();
                    if let Some(refusal) = refusal {
                        self.say(&refusal).await?;
                        continue;
                    }
                    let mail = Mail {
                        encrypted: self.encrypted,
                        signed_in,
                        from: from.clone(),
                        to: to.clone(),
                        data,
                    };
                    self.shared.lock().unwrap().mails.push(mail);
                    self.say("250 taken").await?;
                }
                "QUIT" if self.shared.lock().unwrap().is_silent_at_quit => {
                    return std::future::pending().await;
                }
                "QUIT" => return self.say("221 bye").await,
                _ => self.say("502 what").await?,
            }
        }
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    /// One byte at a time, so that nothing is read past the line before STARTTLS.
    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.stream.read_u8().await?);
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        self.shared.lock().unwrap().heard.push(line.clone());
        Ok(line)
    }

    async fn data(&mut self) -> io::Result<String> {
        let mut data = Vec::new();
        while !data.ends_with(b"\r\n.\r\n") {
            data.push(self.stream.read_u8().await?);
        }
        data.truncate(data.len() - 3);
        Ok(String::from_utf8_lossy(&data).into_owned())
    }
}

fn address(rest: &str) -> String {
    let inside = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or("", |(address, _)| address).to_owned()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number =
            chunk.iter().fold(0u32, |n, &b| n << 8 | u32::from(b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
