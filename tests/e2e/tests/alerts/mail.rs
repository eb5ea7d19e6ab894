//! A real mail server, and what it got.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Process, cannot_run, wait_for};
use serde_json::Value;

/// Debian's interpreter: the one that `python3-aiosmtpd` installs for.
const PYTHON: &str = "/usr/bin/python3";
/// Prints each mail as JSON, with headers and text decoded.
const DECODE: &str = "
import email, email.policy, json, sys
for name in sys.argv[1:]:
    with open(name, 'rb') as file:
        mail = email.message_from_binary_file(file, policy=email.policy.default)
    text = mail.get_body(('plain',)).get_content()
    html = mail.get_body(('html',)).get_content()
    parts = [part for part in mail.walk() if part.get_content_type() == 'image/png']
    pictures = [part['content-id'] for part in parts if part.get_content()[:4] == b'\\x89PNG']
    print(json.dumps({'subject': mail['subject'], 'text': text, 'html': html, 'pictures': pictures}))
";

/// True when a mail server can be started; says so loudly (fails in CI) otherwise.
pub(crate) fn have_mail_server() -> bool {
    let probe = Command::new(PYTHON).args(["-c", "import aiosmtpd"]).status();
    let found = probe.is_ok_and(|status| status.success());
    if !found {
        cannot_run("there is no python3-aiosmtpd; .ci/packages installs it");
    }
    found
}

/// An SMTP server that keeps what it gets in a maildir.
pub(crate) struct MailServer {
    _process: Process,
    maildir: PathBuf,
    port: u16,
}

impl MailServer {
    pub(crate) fn start(
        folder: &Path,
        name: &str,
        tls: [&str; 2],
        certificate: [&Path; 2],
    ) -> Self {
        let maildir = folder.join(name);
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut command = Command::new(PYTHON);
        command.args(["-m", "aiosmtpd", "-n", "-l", &address.to_string()]);
        command.args(["-c", "aiosmtpd.handlers.Mailbox"]);
        for (option, file) in tls.iter().zip(certificate) {
            command.arg(option).arg(file);
        }
        command.arg(&maildir);
        let process = Process::start(&mut command, folder.join(format!("{name}.log")));
        wait_for("the mail server", || TcpStream::connect(address).ok());
        Self { _process: process, maildir, port: address.port() }
    }

    fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.maildir.join("new")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// The mails as they came.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.files().iter().map(|file| fs::read_to_string(file).unwrap()).collect()
    }

    /// The mails as people read them: `subject`, `text` and `html` of each, and what `pictures` it has.
    pub(crate) fn decoded(&self) -> Vec<Value> {
        let output = Command::new(PYTHON).args(["-c", DECODE]).args(self.files()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A certificate for `localhost` that only this test trusts, and its key.
pub(crate) fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

/// A channel by mail, as the configuration has it.
pub(crate) fn mail_channel(name: &str, security: &str, server: &MailServer, root: &Path) -> String {
    format!(
        "[[channel]]\nname = {name:?}\nkind = \"email\"\nhost = \"localhost\"\nport = {}\n\
         security = {security:?}\nfrom = \"busyhour@example.com\"\n\
         to = [\"champion@example.com\"]\nroot_ca_file = {:?}\n",
        server.port,
        root.to_str().unwrap()
    )
}
