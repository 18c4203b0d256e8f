//! The client's side of SCRAM (RFC 5802, RFC 7677), without channel binding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::client::BenchError;

/// Which hash a mechanism names.
#[derive(Clone, Copy)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    pub(crate) fn of(mechanism: &str) -> Option<Hash> {
        match mechanism {
            "SCRAM-SHA-1" => Some(Hash::Sha1),
            "SCRAM-SHA-256" => Some(Hash::Sha256),
            _ => None,
        }
    }

    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha1 => Sha1::digest(data).to_vec(),
            Hash::Sha256 => Sha256::digest(data).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        fn compute<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
            // HMAC takes keys of any length, so this never fails; an empty answer would only fail the sign-in.
            <M as Mac>::new_from_slice(key)
                .map(|mac| mac.chain_update(data).finalize().into_bytes().to_vec())
                .unwrap_or_default()
        }
        match self {
            Hash::Sha1 => compute::<Hmac<Sha1>>(key, data),
            Hash::Sha256 => compute::<Hmac<Sha256>>(key, data),
        }
    }

    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Hash::Sha1 => {
                pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password, salt, iterations).to_vec()
            }
            Hash::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec()
            }
        }
    }
}

/// One exchange, from the first message to the last.
pub(crate) struct Exchange {
    hash: Hash,
    bare: String,
}

impl Exchange {
    /// The exchange and the client's first message in base64.
    pub(crate) fn begin(hash: Hash, name: &str) -> Result<(Exchange, String), BenchError> {
        let mut nonce = [0u8; 12];
        getrandom::fill(&mut nonce)
            .map_err(|error| BenchError::Protocol(format!("no randomness: {error}")))?;
        let bare = format!(
            "n={name},r={}",
            STANDARD.encode(nonce).replace(['+', '/', '='], "x")
        );
        let first = STANDARD.encode(format!("n,,{bare}"));
        Ok((Exchange { hash, bare }, first))
    }

    /// The answer, in base64, to the server's challenge, in base64.
    pub(crate) fn answer(&self, challenge: &str, password: &str) -> Result<String, BenchError> {
        let bad = || BenchError::Protocol("unreadable SCRAM challenge".into());
        let challenge = String::from_utf8(STANDARD.decode(challenge.trim()).map_err(|_| bad())?)
            .map_err(|_| bad())?;
        let part = |name: &str| {
            challenge
                .split(',')
                .find_map(|part| part.strip_prefix(name))
        };
        let nonce = part("r=").ok_or_else(bad)?;
        let salt = STANDARD
            .decode(part("s=").ok_or_else(bad)?)
            .map_err(|_| bad())?;
        let iterations: u32 = part("i=")
            .and_then(|count| count.parse().ok())
            .ok_or_else(bad)?;
        let salted = self.hash.salted(password.as_bytes(), &salt, iterations);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{challenge},{without_proof}", self.bare);
        let signature = self
            .hash
            .hmac(&self.hash.digest(&client_key), message.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(key, sign)| key ^ sign)
            .collect();
        Ok(STANDARD.encode(format!("{without_proof},p={}", STANDARD.encode(proof))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7677_comes_out() {
        let exchange = Exchange {
            hash: Hash::Sha256,
            bare: "n=user,r=rOprNGfwEbeRWgbNEkqO".into(),
        };
        let challenge = STANDARD.encode("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let answer = exchange.answer(&challenge, "pencil").unwrap();
        let answer = String::from_utf8(STANDARD.decode(answer).unwrap()).unwrap();
        assert!(
            answer.ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
            "{answer}"
        );
    }
}
