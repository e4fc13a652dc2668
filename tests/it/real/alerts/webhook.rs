//! The receiver of Alertmanager's messages.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;

use serde_json::Value;

/// What a webhook got: an alert and whether it fires.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// `plain` or `shipped`.
    pub(super) from: String,
    pub(super) is_resolved: bool,
    pub(super) labels: BTreeMap<String, String>,
}

impl Message {
    pub(super) fn is(&self, from: &str, alert: &str, is_resolved: bool) -> bool {
        let (name, label) = alert.split_once(' ').map_or((alert, None), |(n, l)| (n, Some(l)));
        self.from == from
            && self.is_resolved == is_resolved
            && self.labels["alertname"] == name
            && label.is_none_or(|label| self.labels.values().any(|value| value == label))
    }
}

/// Answers Alertmanager and keeps what it says.
pub(super) fn receive(listener: &TcpListener, messages: &Mutex<Vec<Message>>) {
    for stream in listener.incoming() {
        let mut reader = BufReader::new(stream.unwrap());
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            // One who connects and says nothing.
            if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                break;
            }
            head.push(line);
        }
        let length = head.iter().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let (Some(request), Some(length)) = (head.first(), length) else { continue };
        let from = request.split(['/', ' ']).nth(2).unwrap().to_owned();
        let mut body: Vec<u8> = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        for alert in body["alerts"].as_array().unwrap() {
            messages.lock().unwrap().push(Message {
                from: from.clone(),
                is_resolved: alert["status"] == "resolved",
                labels: serde_json::from_value(alert["labels"].clone()).unwrap(),
            });
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        reader.into_inner().write_all(answer.as_bytes()).unwrap();
    }
}
