//! Whole exchanges, against a client written from the documents and not from our code.

mod external;
mod offer;
mod order;
mod plain;
mod scram;

use super::*;
use crate::credentials::{Derivation, KnownPasswords, Password, SALT_BYTES, ScramHash};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const PASSWORD: &str = "r0m3o,=myr0m30";
const NONCE: [u8; NONCE_BYTES] = [9; NONCE_BYTES];
const EXPORTER: &[u8] = &[0xE0; 32];
const END_POINT: &[u8] = &[0x5E; 32];

/// Derived once: it is the slow part.
static KEYS: LazyLock<Credentials> = LazyLock::new(|| {
    let how = Derivation::with_salts([1; SALT_BYTES], [2; SALT_BYTES]);
    Credentials::derive(&Password::prepare(PASSWORD).unwrap(), &how)
});

/// The hub as one client meets it: accounts `juliet` and, disabled, `tybalt`.
struct Hub {
    encrypted: bool,
    require_tls: bool,
    bindings: ChannelBindings,
    certificate: Vec<String>,
    offered: Option<Vec<Mechanism>>,
    downgrade_protection: bool,
}

impl Hub {
    fn over_tls() -> Self {
        let bindings = ChannelBindings::NONE
            .with(ChannelBindingType::TlsServerEndPoint, END_POINT)
            .with(ChannelBindingType::TlsExporter, EXPORTER);
        Self {
            encrypted: true,
            require_tls: true,
            bindings,
            certificate: Vec::new(),
            offered: None,
            downgrade_protection: true,
        }
    }

    fn plain() -> Self {
        Self {
            encrypted: false,
            require_tls: false,
            bindings: ChannelBindings::NONE,
            ..Self::over_tls()
        }
    }

    fn with_certificate(names: &[&str]) -> Self {
        Self {
            certificate: names.iter().map(|name| name.to_string()).collect(),
            ..Self::over_tls()
        }
    }

    fn channel(&self) -> Channel<'_> {
        Channel {
            domain: "example.org",
            prepare: |local| (!local.contains(['@', '/', ' '])).then(|| local.to_lowercase()),
            encrypted: self.encrypted,
            require_tls: self.require_tls,
            bindings: &self.bindings,
            certificate: &self.certificate,
        }
    }

    fn offered(&self) -> Vec<Mechanism> {
        self.offered
            .clone()
            .unwrap_or_else(|| self.channel().offered())
    }

    fn start(&self, mechanism: Mechanism, initial: Option<&[u8]>) -> (Exchange, Step) {
        let (channel, offered) = (self.channel(), self.offered());
        let ctx = Context {
            channel: &channel,
            offered: &offered,
            nonce: &NONCE,
            decoy_secret: &[0xDE; 32],
            downgrade_protection: self.downgrade_protection,
        };
        Exchange::start(mechanism, initial, &ctx)
    }

    /// Answers the steps that are the shell's, and stops at one that is the client's to see.
    fn settle(exchange: &mut Exchange, mut step: Step) -> Step {
        loop {
            step = match step {
                Step::Lookup { account } => exchange.account_found(Self::record(&account)),
                Step::Derive(check) => exchange.derived(check.run(&KnownPasswords::new([4; 32]))),
                seen => return seen,
            }
        }
    }

    fn record(account: &str) -> Option<AccountRecord> {
        let enabled = match account {
            "juliet" => true,
            "tybalt" => false,
            _ => return None,
        };
        Some(AccountRecord {
            credentials: Some(KEYS.clone()),
            enabled,
        })
    }

    /// One message, one answer.
    fn ask(&self, mechanism: Mechanism, initial: &[u8]) -> Step {
        let (mut exchange, step) = self.start(mechanism, Some(initial));
        Self::settle(&mut exchange, step)
    }
}

/// A SCRAM client: header and fields as it would send them, each open to tampering.
#[derive(Clone)]
struct Client {
    mechanism: Mechanism,
    header: &'static str,
    binding_data: &'static [u8],
    user: &'static str,
    password: &'static str,
    /// Applied to the final message, its proof excluded, before the proof is computed.
    tamper: fn(String) -> String,
}

impl Client {
    fn new(mechanism: Mechanism) -> Self {
        let (header, binding_data) = match mechanism.binds_channel() {
            true => ("p=tls-exporter,,", EXPORTER),
            false => ("n,,", &b""[..]),
        };
        Self {
            mechanism,
            header,
            binding_data,
            user: "juliet",
            password: PASSWORD,
            tamper: |message| message,
        }
    }

    fn hash(&self) -> ScramHash {
        self.mechanism.scram_hash().unwrap()
    }

    fn hmac(&self, key: &[u8], data: &[u8]) -> Vec<u8> {
        match self.hash() {
            ScramHash::Sha1 => <Hmac<Sha1> as Mac>::new_from_slice(key)
                .unwrap()
                .chain_update(data)
                .finalize()
                .into_bytes()
                .to_vec(),
            ScramHash::Sha256 => <Hmac<Sha256> as Mac>::new_from_slice(key)
                .unwrap()
                .chain_update(data)
                .finalize()
                .into_bytes()
                .to_vec(),
        }
    }

    fn salted_password(&self, salt: &[u8], iterations: u32) -> Vec<u8> {
        let password = self.password.as_bytes();
        match self.hash() {
            ScramHash::Sha1 => {
                pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password, salt, iterations).to_vec()
            }
            ScramHash::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec()
            }
        }
    }

    /// The messages the hub sent, and how it ended. A success is believed only with the right server signature.
    fn sign_in(&self, hub: &Hub) -> (Vec<String>, Result<String, SaslError>) {
        let bare = format!("n={},r=fyko+d2lbbFgONRv9qkxdawL", self.user);
        let first = format!("{}{bare}", self.header);
        let (mut exchange, step) = hub.start(self.mechanism, Some(first.as_bytes()));
        let challenge = match Hub::settle(&mut exchange, step) {
            Step::Challenge(data) => String::from_utf8(data).unwrap(),
            Step::Failure(error) => return (vec![], Err(error)),
            other => panic!("{other:?}"),
        };
        let field = |name: &str| {
            let value = challenge
                .split(',')
                .find_map(|field| field.strip_prefix(name));
            value.unwrap_or_else(|| panic!("no {name} in {challenge}"))
        };
        let nonce = field("r=");
        assert!(nonce.starts_with("fyko+d2lbbFgONRv9qkxdawL") && nonce.len() > 24);
        let salt = BASE64.decode(field("s=")).unwrap();
        let salted = self.salted_password(&salt, field("i=").parse().unwrap());

        let binding = BASE64.encode([self.header.as_bytes(), self.binding_data].concat());
        let last = (self.tamper)(format!("c={binding},r={nonce}"));
        let auth_message = format!("{bare},{challenge},{last}");
        let client_key = self.hmac(&salted, b"Client Key");
        let stored_key = match self.hash() {
            ScramHash::Sha1 => Sha1::digest(&client_key).to_vec(),
            ScramHash::Sha256 => Sha256::digest(&client_key).to_vec(),
        };
        let signature = self.hmac(&stored_key, auth_message.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(a, b)| a ^ b)
            .collect();
        let step = exchange.respond(format!("{last},p={}", BASE64.encode(proof)).as_bytes());
        assert!(exchange.has_ended());
        let end = match step {
            Step::Success { account, data } => {
                let server_key = self.hmac(&salted, b"Server Key");
                let signature = self.hmac(&server_key, auth_message.as_bytes());
                assert_eq!(
                    data,
                    Some(format!("v={}", BASE64.encode(signature)).into_bytes())
                );
                Ok(account)
            }
            Step::Failure(error) => Err(error),
            other => panic!("{other:?}"),
        };
        (vec![challenge], end)
    }

    fn error(&self, hub: &Hub) -> (Condition, Option<ScramError>) {
        let error = self.sign_in(hub).1.expect_err("this sign-in must fail");
        (error.condition, error.scram)
    }
}

const SCRAM: [Mechanism; 4] = [
    Mechanism::ScramSha256Plus,
    Mechanism::ScramSha1Plus,
    Mechanism::ScramSha256,
    Mechanism::ScramSha1,
];

fn failure(step: Step) -> Condition {
    match step {
        Step::Failure(error) => error.condition,
        other => panic!("{other:?}"),
    }
}

fn signed_in(step: Step) -> String {
    match step {
        Step::Success { account, .. } => account,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ten_mutations_never_panic() {
    let nonce = BASE64.encode(NONCE);
    let dialogues: [(u8, Vec<Vec<u8>>); 4] = [
        (
            1,
            vec![
                b"p=tls-exporter,a=juliet,n=juliet,r=abc,x=1".to_vec(),
                format!("c=cD0=,r=abc{nonce},p=AAAA").into(),
            ],
        ),
        (
            3,
            vec![
                b"n,,n=jul=2Ciet,r=abc".to_vec(),
                format!("c=biws,r=abc{nonce},x=y,p=AAAA").into(),
            ],
        ),
        (5, vec!["juliet@example.org\0juliet\0pässword".into()]),
        (0, vec![b"juliet@example.org".to_vec()]),
    ];
    // xorshift64: the same bytes in every run.
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    for round in 0..4000 {
        let (mechanism, messages) = &dialogues[round % dialogues.len()];
        let mut data = vec![*mechanism, random() as u8];
        for message in messages {
            data.extend((message.len() as u16).to_be_bytes());
            data.extend(message);
        }
        for _ in 0..10 {
            let at = random() % data.len();
            data[at] = random() as u8;
        }
        fuzz_exchange(&data);
    }
}
