//! Mail by SMTP (RFC 5321) with STARTTLS (RFC 3207) or TLS (RFC 8314).

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use busyhour_daemon::{Secret, chain};
use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, Mailboxes, MultiPart, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, Tls, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use tokio::task::JoinSet;

use super::{Fault, Problem, SendError, Taken, is_loopback, parse_timeout, read_roots};
use crate::config::{EmailConfig, Security};
use crate::message::{Message, PICTURE_ID};

/// How many of its steps the whole of an exchange may take.
const MAX_STEPS: u32 = 4;
/// How long the server may take to say good-bye.
const GOODBYE: Duration = Duration::from_secs(5);
/// A Champion and a few colleagues; more is what mailing lists are for.
const MAX_RECIPIENTS: usize = 50;

/// Whom a mail reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Somebody, in this attempt.
    Now,
    /// Nobody in this attempt; others have it.
    Before,
    /// Nobody.
    Nobody,
}

pub(super) struct Email {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    /// The longest wait for the connection.
    step: Duration,
    from: Mailbox,
    to: Mailboxes,
    password: Option<Secret>,
    /// The longest wait for the whole of an exchange.
    timeout: Duration,
    /// Connections that are being closed. Held for a moment only, never while waiting.
    parting: Mutex<JoinSet<()>>,
}

impl Email {
    pub(super) fn build(config: &EmailConfig) -> Result<Self, Problem> {
        if config.security == Security::None && !is_loopback(&config.host) {
            return Err(Problem::PlainMail { host: config.host.clone() });
        }
        if !(1..=MAX_RECIPIENTS).contains(&config.to.len()) {
            return Err(Problem::Recipients { max: MAX_RECIPIENTS });
        }
        let from = parse_address(&config.from)?;
        let to =
            config.to.iter().map(|text| parse_address(text)).collect::<Result<Mailboxes, _>>()?;
        let password = match (&config.user, &config.password_file) {
            (Some(_), Some(path)) => Some(Secret::read(path)?),
            (None, None) => None,
            _ => return Err(Problem::Credentials),
        };
        let (tls, default_port) = tls(config)?;
        let step = parse_timeout(config.timeout.as_deref())?;
        let credentials = config.user.as_ref().zip(password.as_ref());
        let credentials = credentials
            .map(|(user, password)| Credentials::new(user.clone(), password.expose().to_owned()));
        let (host, port) = (config.host.clone(), config.port.unwrap_or(default_port));
        let (timeout, parting) = (step * MAX_STEPS, Mutex::default());
        Ok(Self { host, port, tls, credentials, step, from, to, password, timeout, parting })
    }

    /// Sends to all, or to those of them that are left.
    pub(super) async fn send(
        &self,
        message: &Message,
        left: &[String],
    ) -> Result<Taken, SendError> {
        let composed = self.compose(message);
        let mail = composed
            .map_err(|error| SendError::new(Fault::Message, self.describe(&error)))?
            .formatted();
        let to: Vec<&Address> = self
            .to
            .iter()
            .map(|mailbox| &mailbox.email)
            .filter(|address| {
                left.is_empty()
                    || left.iter().any(|one| one.as_str() == AsRef::<str>::as_ref(address))
            })
            .collect();
        if to.is_empty() {
            let says = "those whom it was left for are no longer configured".to_owned();
            return Err(SendError::new(Fault::Nobody, says));
        }
        let exchange = self.exchange(&mail, &to, !left.is_empty());
        tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(SendError::passing("the mail server took too long".to_owned())))
    }

    /// One transaction (RFC 5321, section 3.3). Whom the server refuses does not keep it from the others;
    /// `others_have_it` already when it is only for who was left.
    async fn exchange(
        &self,
        mail: &[u8],
        to: &[&Address],
        others_have_it: bool,
    ) -> Result<Taken, SendError> {
        let failed = |error: SmtpError| self.failure(&error);
        let mut server = self.connect().await.map_err(failed)?;
        let mut parameters = Vec::new();
        let plain = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
        if !plain(&self.from.email) || !to.iter().all(|address| plain(address)) {
            if !server.server_info().supports_feature(Extension::SmtpUtfEight) {
                let says = "the mail server takes addresses in ASCII only".to_owned();
                return Err(SendError::new(Fault::Channel, says));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let from = Some(self.from.email.clone());
        server.command(Mail::new(from, parameters)).await.map_err(failed)?;
        let mut refused: Vec<(&Address, SmtpError)> = Vec::new();
        for address in to {
            match server.command(Rcpt::new((*address).clone(), Vec::new())).await {
                Ok(_) => {}
                Err(error) if error.is_permanent() || error.is_transient() => {
                    refused.push((address, error));
                }
                Err(error) => return Err(failed(error)),
            }
        }
        let reached = refused.len() < to.len();
        if reached {
            server.command(Data).await.map_err(failed)?;
            server.message(mail).await.map_err(|error| self.content_failure(&error))?;
        }
        self.part(server);
        let reach = match (reached, others_have_it) {
            (true, _) => Reach::Now,
            (false, true) => Reach::Before,
            (false, false) => Reach::Nobody,
        };
        self.became(&refused, reach)
    }

    /// Says good-bye. The server has answered for the mail: whether it answers to this must not change what is known.
    fn part(&self, mut server: AsyncSmtpConnection) {
        let mut parting = self.parting.lock().unwrap_or_else(PoisonError::into_inner);
        while parting.try_join_next().is_some() {}
        parting.spawn(async move {
            let _ = tokio::time::timeout(GOODBYE, server.quit()).await;
        });
    }

    /// What became of the mail by whom the server refused, and whom it reached.
    fn became(&self, refused: &[(&Address, SmtpError)], reach: Reach) -> Result<Taken, SendError> {
        let says = |(address, error): &(&Address, SmtpError)| {
            format!("{address} is refused: {}", self.describe(error))
        };
        let error = refused.iter().map(says).collect::<Vec<_>>().join("; ");
        let may_change = refused.iter().any(|(_, error)| error.is_transient());
        if refused.is_empty() {
            return Ok(Taken::Whole);
        }
        let fault = match (reach, may_change) {
            (Reach::Now, true) => {
                let left = refused.iter().map(|(address, _)| address.to_string()).collect();
                return Ok(Taken::Partly { left, error });
            }
            (Reach::Now, false) => return Ok(Taken::But { error }),
            (Reach::Before, true) => Fault::Recipients,
            (Reach::Before, false) => Fault::Message,
            (Reach::Nobody, true) => Fault::Passing,
            (Reach::Nobody, false) => Fault::Channel,
        };
        Err(SendError::new(fault, error))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let name = ClientId::default();
        let tls = match &self.tls {
            Tls::Wrapper(parameters) => Some(parameters.clone()),
            _ => None,
        };
        let address = (self.host.as_str(), self.port);
        let mut server =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.step), &name, tls, None).await?;
        if let Tls::Required(parameters) = &self.tls {
            server.starttls(parameters.clone(), &name).await?;
        }
        if let Some(credentials) = &self.credentials {
            server.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(server)
    }

    /// RFC 5321, section 4.2.1: 5yz is permanent.
    fn failure(&self, error: &SmtpError) -> SendError {
        let fault = if error.is_permanent() { Fault::Channel } else { Fault::Passing };
        SendError::new(fault, self.describe(error))
    }

    /// What the server says when it has seen all of the mail may be about this mail alone: too large, or of a form
    /// that it does not take (RFC 3463, sections 3.3, 3.4 and 3.7). A 552 that says no more is said of mails that are
    /// too large (RFC 1870, section 6.3), and of mailboxes that are full (RFC 5321, section 4.2.2).
    fn content_failure(&self, error: &SmtpError) -> SendError {
        let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        let of_message = ["5.2.3", "5.3.4", "5.6."].iter().any(|code| said.starts_with(code));
        let storage = error.status().is_some_and(|code| u16::from(code) == 552);
        match (error.is_permanent(), of_message, storage && !said.starts_with("5.")) {
            (true, true, _) => SendError::new(Fault::Message, self.describe(error)),
            (true, false, true) => SendError::new(Fault::Either, self.describe(error)),
            _ => self.failure(error),
        }
    }

    fn compose(&self, message: &Message) -> Result<lettre::Message, lettre::error::Error> {
        let builder = lettre::Message::builder()
            .from(self.from.clone())
            .mailbox(lettre::message::header::To::from(self.to.clone()))
            .subject(&message.subject)
            .message_id(Some(format!("<{}@busyhour.invalid>", message.key)));
        let mut mail = builder.multipart(with_files(message))?;
        // Nobody's absence note should answer an alert (RFC 3834, section 5).
        mail.headers_mut().insert_raw(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
        Ok(mail)
    }

    /// The whole chain in one line; a server that repeats the password is not quoted.
    fn describe(&self, error: &(dyn std::error::Error + 'static)) -> String {
        let mut text = chain(error).to_string();
        if let Some(password) = &self.password {
            text = text.replace(password.expose(), "…");
        }
        text
    }
}

/// Text, and the same as HTML with its picture (RFC 2046, section 5.1.4; RFC 2387).
fn parts(message: &Message) -> MultiPart {
    let text = SinglePart::plain(message.text.clone());
    let html = SinglePart::html(message.html.clone());
    let both = MultiPart::alternative().singlepart(text);
    match &message.picture {
        None => both.singlepart(html),
        Some(picture) => {
            let image =
                Attachment::new_inline_with_name(PICTURE_ID.to_owned(), "picture.png".to_owned());
            let image = image.body(picture.png.clone(), png());
            both.multipart(MultiPart::related().singlepart(html).singlepart(image))
        }
    }
}

/// The message, and what is attached to it.
fn with_files(message: &Message) -> MultiPart {
    if message.attachments.is_empty() {
        return parts(message);
    }
    let mut mixed = MultiPart::mixed().multipart(parts(message));
    for (name, media_type, bytes) in &message.attachments {
        let kind = ContentType::parse(media_type).unwrap_or_else(|_| octets());
        mixed = mixed.singlepart(Attachment::new(name.clone()).body(bytes.clone(), kind));
    }
    mixed
}

fn octets() -> ContentType {
    ContentType::parse("application/octet-stream").expect("a media type")
}

fn png() -> ContentType {
    ContentType::parse("image/png").expect("a media type")
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email").field("host", &self.host).finish_non_exhaustive()
    }
}

fn parse_address(text: &str) -> Result<Mailbox, Problem> {
    text.parse().map_err(|source| Problem::Address { address: text.to_owned(), source })
}

/// How to protect the connection, and the port that usually goes with it.
fn tls(config: &EmailConfig) -> Result<(Tls, u16), Problem> {
    let parameters = || tls_parameters(&config.host, config.root_ca_file.as_deref());
    Ok(match config.security {
        Security::Starttls => (Tls::Required(parameters()?), 587),
        Security::Tls => (Tls::Wrapper(parameters()?), 465),
        Security::None => (Tls::None, 25),
    })
}

fn tls_parameters(host: &str, roots: Option<&Path>) -> Result<TlsParameters, Problem> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = roots {
        let pem = read_roots(path)?;
        let none = || Problem::NoRoots { path: path.to_owned() };
        if !pem.windows(PEM_BEGIN.len()).any(|part| part == PEM_BEGIN) {
            return Err(none());
        }
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(&pem).map_err(|_| none())?);
    }
    builder.build().map_err(Problem::Smtp)
}

const PEM_BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
