//! A real browser that a test drives: Chromium's own protocol over a pipe, so that there is no port,
//! no second program, and nothing left when the test ends.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::demo::QUIET_CHROMIUM;
use crate::{LIMIT, wait_for};

/// Headless Chromium with one tab.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    said: Receiver<Value>,
    events: VecDeque<Value>,
    session: String,
    calls: u64,
}

impl Browser {
    /// Starts it with a profile of its own.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(profile: &Path) -> Self {
        // The protocol is spoken on the descriptors 3 and 4; the shell makes them of the usual two.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#, "chromium"])
            .args(QUIET_CHROMIUM)
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium starts");
        let input = child.stdin.take().expect("its input is a pipe");
        let output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let (tell, said) = channel();
        std::thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("it says JSON");
                if tell.send(message).is_err() {
                    break;
                }
            }
        });
        let session = String::new();
        let mut browser = Self { child, input, said, events: VecDeque::new(), session, calls: 0 };
        browser.attach();
        browser
    }

    /// Opens the tab that everything else is said to.
    fn attach(&mut self) {
        let tab = self.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attached = json!({ "targetId": tab["targetId"], "flatten": true });
        let session = self.call("Target.attachToTarget", &attached);
        session["sessionId"].as_str().expect("a session").clone_into(&mut self.session);
        self.call("Page.enable", &json!({}));
        self.call("Page.setLifecycleEventsEnabled", &json!({ "enabled": true }));
    }

    /// Asks something of it, and waits for the answer.
    ///
    /// # Panics
    /// When it refuses, or does not answer.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        let mut text = message.to_string();
        text.push('\0');
        self.input.write_all(text.as_bytes()).expect("it listens");
        loop {
            let answer = self.hear(method);
            if answer["id"] == self.calls {
                assert!(answer.get("error").is_none(), "{method} {parameters}: {answer}");
                return answer["result"].clone();
            }
            self.events.push_back(answer);
        }
    }

    fn hear(&mut self, what: &str) -> Value {
        self.said.recv_timeout(LIMIT).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => panic!("waited {LIMIT:?} for {what}"),
            RecvTimeoutError::Disconnected => panic!("chromium ended at {what}"),
        })
    }

    /// Opens an address and waits until everything of it is there.
    ///
    /// # Panics
    /// When nothing answers there.
    pub fn open(&mut self, url: &str) {
        self.events.clear();
        let begun = self.call("Page.navigate", &json!({ "url": url }));
        assert!(begun.get("errorText").is_none(), "{url}: {begun}");
        let Some(loader) = begun["loaderId"].as_str().map(ToOwned::to_owned) else { return };
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => self.hear(url),
            };
            let told = &event["params"];
            if event["method"] == "Page.lifecycleEvent"
                && told["name"] == "load"
                && told["loaderId"] == loader.as_str()
            {
                return;
            }
        }
    }

    /// The value of an expression in the page, once it is settled.
    ///
    /// # Panics
    /// When it throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({
            "expression": expression,
            "returnByValue": true,
            "awaitPromise": true,
        });
        let answer = self.call("Runtime.evaluate", &asked);
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{}: {thrown}", expression.chars().take(200).collect::<String>());
        answer["result"]["value"].clone()
    }

    /// Presses a key: `Tab`, `Enter`, an arrow, or a letter.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let mut down = json!({ "type": "rawKeyDown", "key": key, "windowsVirtualKeyCode": code });
        let text = if key == "Enter" { "\r" } else { key };
        if key == "Enter" || key.chars().count() == 1 {
            down["type"] = "keyDown".into();
            down["text"] = text.into();
        }
        self.call("Input.dispatchKeyEvent", &down);
        let up = json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", &up);
    }

    /// Types a text into what has the focus.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// Drags the pointer from one place of the window to another.
    pub fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        for (kind, (x, y)) in [("mousePressed", from), ("mouseMoved", to), ("mouseReleased", to)] {
            let event = json!({
                "type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// A window of this size; `scale` is how many of its pixels are one of the page's.
    pub fn resize(&mut self, width: u32, height: u32, scale: f64) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": scale, "mobile": false,
        });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// What the reader's system prefers: `light` or `dark`.
    pub fn prefer(&mut self, theme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Lets pages run scripts, or not; what a test evaluates runs all the same.
    pub fn scripts(&mut self, on: bool) {
        self.call("Emulation.setScriptExecutionDisabled", &json!({ "value": !on }));
    }

    /// Waits until an expression is true.
    ///
    /// # Panics
    /// When it never is.
    pub fn wait_until(&mut self, what: &str, expression: &str) {
        wait_for(what, || (self.evaluate(expression) == true).then_some(()));
    }

    /// Takes a picture of what is seen, or of the whole page.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn picture(&mut self, file: &Path, whole: bool) {
        let asked = json!({ "format": "png", "captureBeyondViewport": whole });
        let answer = self.call("Page.captureScreenshot", &asked);
        let bytes = STANDARD.decode(answer["data"].as_str().expect("a picture")).expect("Base64");
        fs::write(file, bytes).expect("the picture can be written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
