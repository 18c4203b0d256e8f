//! The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), which also checks that the hub knows the key.

use std::{cell::RefCell, collections::HashMap};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// One sign-in under way.
#[derive(Debug)]
pub struct Scram {
    password: String,
    first_bare: String,
    signature: Option<[u8; 32]>,
}

/// A salted password by password, salt and rounds.
type Salted = HashMap<(String, Vec<u8>, u32), [u8; 32]>;

thread_local! {
    /// A world signs in the same accounts a thousand times.
    static SALTED: RefCell<Salted> = RefCell::default();
}

impl Scram {
    /// Begins; also gives the first message.
    pub fn begin(user: &str, password: &str, nonce: &str) -> (Self, String) {
        let first_bare = format!("n={user},r={nonce}");
        let message = format!("n,,{first_bare}");
        let scram = Self {
            password: password.into(),
            first_bare,
            signature: None,
        };
        (scram, message)
    }

    /// The answer to the hub's first message.
    pub fn answer(&mut self, server_first: &str) -> Result<String, String> {
        let field = |name: &str| {
            server_first
                .split(',')
                .find_map(|part| part.strip_prefix(name))
                .ok_or_else(|| format!("no {name} in {server_first}"))
        };
        let salt = BASE64
            .decode(field("s=")?)
            .map_err(|error| error.to_string())?;
        let rounds: u32 = field("i=")?.parse().map_err(|_| "a bad count")?;
        let key = (self.password.clone(), salt, rounds);
        let salted = SALTED.with_borrow_mut(|known| {
            *known
                .entry(key)
                .or_insert_with_key(|(password, salt, rounds)| {
                    pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, *rounds)
                })
        });
        let without_proof = format!("c=biws,r={}", field("r=")?);
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let client_key = hmac(&salted, b"Client Key");
        let stored_key: [u8; 32] = Sha256::digest(client_key).into();
        let mut proof = client_key;
        for (byte, mask) in proof.iter_mut().zip(hmac(&stored_key, signed.as_bytes())) {
            *byte ^= mask;
        }
        self.signature = Some(hmac(&hmac(&salted, b"Server Key"), signed.as_bytes()));
        Ok(format!("{without_proof},p={}", BASE64.encode(proof)))
    }

    /// Whether the hub's last message proves that it knows the key.
    pub fn is_proven_by(&self, server_final: &str) -> bool {
        let expected = self.signature.map(|it| format!("v={}", BASE64.encode(it)));
        expected.is_some_and(|expected| server_final.split(',').any(|part| part == expected))
    }
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7677_s3() {
        let (mut scram, first) = Scram::begin("user", "pencil", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(first, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let answer = scram
            .answer(
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            )
            .unwrap();
        assert!(answer.ends_with("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
        assert!(scram.is_proven_by("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!scram.is_proven_by("v=AAAA"));
    }
}
