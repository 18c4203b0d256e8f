//! SCRAM: the client proves that it knows the password, the hub that it knows the account, and neither says it.
//!
//! Implements: RFC 5802 §3, §5, §6, §7 and RFC 7677 (server side); XEP-0474 0.5.0 §5.1 attribute `h`.

mod message;

use super::{
    AccountRecord, ChannelBindingType, Condition, Context, SaslError, ScramError, downgrade,
    names::Names,
};
use crate::credentials::{Credentials, ScramHash};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use message::{BindingFlag, ClientFinal, ClientFirst};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What the hub holds before the client's first message.
pub(super) struct Start {
    hash: ScramHash,
    /// Is the mechanism one of -PLUS?
    plus: bool,
    /// Was one of -PLUS offered?
    plus_offered: bool,
    bindings: super::ChannelBindings,
    /// The attribute `h`, unless the carrier went without it.
    downgrade: Option<String>,
    server_nonce: String,
    decoy_secret: Zeroizing<[u8; 32]>,
}

impl Start {
    pub(super) fn new(hash: ScramHash, plus: bool, ctx: &Context<'_>) -> Self {
        let downgrade = ctx.downgrade_protection.then(|| {
            let mechanisms = ctx.offered.iter().map(|mechanism| mechanism.name());
            downgrade::hash(
                hash,
                mechanisms,
                ctx.channel.bindings.types().map(ChannelBindingType::name),
            )
        });
        Self {
            hash,
            plus,
            plus_offered: ctx
                .offered
                .iter()
                .any(|mechanism| mechanism.binds_channel()),
            bindings: ctx.channel.bindings.clone(),
            downgrade,
            // base64 is printable and has no comma, as RFC 5802 §5.1 wants of a nonce.
            server_nonce: BASE64.encode(ctx.nonce),
            decoy_secret: Zeroizing::new(*ctx.decoy_secret),
        }
    }

    /// Reads client-first-message. Whatever fails here fails for every account alike.
    pub(super) fn receive(self, data: &[u8], names: &Names) -> Result<AwaitAccount, SaslError> {
        let message = ClientFirst::parse(data)?;
        let binding_data = self.binding_data(message.binding)?;
        let account = names.account(&message.username).ok_or(SaslError::scram(
            Condition::NotAuthorized,
            ScramError::InvalidUsernameEncoding,
        ))?;
        names.authorize(message.authzid.as_deref(), &account)?;
        Ok(AwaitAccount {
            hash: self.hash,
            // Made for every name, found or not, so that both take the same time.
            decoy: Credentials::decoy(&self.decoy_secret, &account),
            account,
            client_first_bare: message.bare.to_owned(),
            nonce: [message.nonce, &self.server_nonce].concat(),
            binding_input: [message.header.as_bytes(), binding_data].concat(),
            downgrade: self.downgrade,
        })
    }

    /// RFC 5802 §6: the client's flag against what was offered; the data it must show, none without binding.
    fn binding_data(&self, flag: BindingFlag<'_>) -> Result<&[u8], SaslError> {
        let refuse = |condition, scram| Err(SaslError::scram(condition, scram));
        match flag {
            BindingFlag::Binds(_) if !self.plus => refuse(
                Condition::MalformedRequest,
                ScramError::ChannelBindingNotSupported,
            ),
            // "If the channel binding type is not supported, the server MUST fail."
            BindingFlag::Binds(name) => ChannelBindingType::from_name(name)
                .and_then(|kind| self.bindings.data(kind))
                .ok_or(SaslError::scram(
                    Condition::NotAuthorized,
                    ScramError::UnsupportedChannelBindingType,
                )),
            // "y" where -PLUS was offered: the offer was cut on its way, the exchange MUST fail.
            BindingFlag::SawNoOffer if self.plus || self.plus_offered => refuse(
                Condition::NotAuthorized,
                ScramError::ServerDoesSupportChannelBinding,
            ),
            // -PLUS without a binding is no -PLUS.
            BindingFlag::CannotBind if self.plus => {
                refuse(Condition::MalformedRequest, ScramError::OtherError)
            }
            BindingFlag::SawNoOffer | BindingFlag::CannotBind => Ok(&[]),
        }
    }
}

/// The client has named itself; the shell owes the account.
pub(super) struct AwaitAccount {
    pub(super) account: String,
    hash: ScramHash,
    client_first_bare: String,
    nonce: String,
    binding_input: Vec<u8>,
    downgrade: Option<String>,
    decoy: Credentials,
}

impl AwaitAccount {
    /// Makes server-first-message: from the account's key, or from the decoy's where there is none.
    pub(super) fn found(self, record: Option<AccountRecord>) -> (AwaitProof, Vec<u8>) {
        let enabled = record.as_ref().is_none_or(|record| record.enabled);
        let credentials = record
            .and_then(|record| record.credentials)
            .unwrap_or(self.decoy);
        let key = credentials.key(self.hash);
        let mut server_first = format!(
            "r={},s={},i={}",
            self.nonce,
            BASE64.encode(key.salt()),
            key.iterations()
        );
        if let Some(downgrade) = &self.downgrade {
            server_first.push_str(",h=");
            server_first.push_str(downgrade);
        }
        let answer = server_first.clone().into_bytes();
        let state = AwaitProof {
            account: self.account,
            enabled,
            hash: self.hash,
            credentials,
            nonce: self.nonce,
            binding_input: self.binding_input,
            auth_message: [&self.client_first_bare, ",", &server_first, ","].concat(),
        };
        (state, answer)
    }
}

/// The client owes its proof.
pub(super) struct AwaitProof {
    account: String,
    enabled: bool,
    hash: ScramHash,
    credentials: Credentials,
    nonce: String,
    binding_input: Vec<u8>,
    /// AuthMessage up to the client's final message.
    auth_message: String,
}

impl AwaitProof {
    /// Reads client-final-message. Gives the account and server-final-message.
    pub(super) fn receive(self, data: &[u8]) -> Result<(String, Vec<u8>), SaslError> {
        let refuse = |scram| Err(SaslError::scram(Condition::NotAuthorized, scram));
        let message = ClientFinal::parse(data)?;
        // RFC 5802 §5.1: the nonce must be the one of server-first-message, whole.
        if message.nonce != self.nonce {
            return refuse(ScramError::OtherError);
        }
        // RFC 5802 §6: header and data must be what this end of the channel has.
        if !bool::from(message.binding_input.ct_eq(&self.binding_input)) {
            return refuse(ScramError::ChannelBindingsDontMatch);
        }
        let auth_message = [
            self.auth_message.as_bytes(),
            message.without_proof.as_bytes(),
        ]
        .concat();
        let key = self.credentials.key(self.hash);
        if !key.proves(&auth_message, &message.proof) {
            return refuse(ScramError::InvalidProof);
        }
        // Only who knows the password learns this.
        if !self.enabled {
            return Err(SaslError::scram(
                Condition::AccountDisabled,
                ScramError::OtherError,
            ));
        }
        let server_final = format!("v={}", BASE64.encode(key.server_signature(&auth_message)));
        Ok((self.account, server_final.into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    //! The published dialogues, bit by bit.
    use super::*;
    use crate::credentials::{Derivation, Password, SALT_BYTES, ScramKey};
    use crate::xmpp::sasl::{Channel, ChannelBindings};

    const SHA1_SALT: &str = "QSXCR+Q6sek8bf92";
    const SHA256_SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";

    /// The account "user" of all three examples: its password is "pencil".
    fn user() -> AccountRecord {
        let password = Password::prepare("pencil").unwrap();
        let key = |hash, salt: &str| {
            ScramKey::derive(hash, &password, &BASE64.decode(salt).unwrap(), 4096).unwrap()
        };
        let credentials = Credentials::from_keys(
            key(ScramHash::Sha1, SHA1_SALT),
            key(ScramHash::Sha256, SHA256_SALT),
        )
        .unwrap();
        AccountRecord {
            credentials: Some(credentials),
            enabled: true,
        }
    }

    fn names() -> Names {
        Names::new(&Channel {
            domain: "example.org",
            prepare: |local| Some(local.to_owned()),
            encrypted: true,
            require_tls: true,
            bindings: &ChannelBindings::NONE,
            certificate: &[],
        })
    }

    fn start(hash: ScramHash, server_nonce: &str) -> Start {
        Start {
            hash,
            plus: false,
            plus_offered: false,
            bindings: ChannelBindings::NONE,
            downgrade: None,
            server_nonce: server_nonce.to_owned(),
            decoy_secret: Zeroizing::new([0; 32]),
        }
    }

    fn dialogue(start: Start, [first, challenge, last, success]: [&str; 4]) {
        let state = start.receive(first.as_bytes(), &names()).unwrap();
        assert_eq!(state.account, "user");
        let (state, sent) = state.found(Some(user()));
        assert_eq!(String::from_utf8(sent).unwrap(), challenge);
        let (account, sent) = state.receive(last.as_bytes()).unwrap();
        assert_eq!(account, "user");
        assert_eq!(String::from_utf8(sent).unwrap(), success);
    }

    #[test]
    fn rfc5802_s5() {
        dialogue(
            start(ScramHash::Sha1, "3rfcNHYJY1ZVvWVs7j"),
            [
                "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ],
        );
    }

    #[test]
    fn rfc7677_s3() {
        dialogue(
            start(ScramHash::Sha256, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"),
            [
                "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ],
        );
    }

    #[test]
    fn xep0474_s5_3() {
        let bound = Start {
            plus: true,
            plus_offered: true,
            bindings: ChannelBindings::NONE
                .with(ChannelBindingType::TlsExporter, b"THIS IS FAKE CB DATA"),
            downgrade: Some("G6k/rBLDqgOhRRaCuuatSDFkJ08=".to_owned()),
            ..start(ScramHash::Sha1, "a09117a6-ac50-4f2f-93f1-93799c2bddf6")
        };
        dialogue(
            bound,
            [
                "p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6",
                "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,s=QSXCR+Q6sek8bf92,i=4096,\
             h=G6k/rBLDqgOhRRaCuuatSDFkJ08=",
                "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,\
             r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,\
             x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p=M/SIDjT+dfcxUh89jZEypRvFxB4=",
                "v=MQrMPvv7yv4x4Cq4W4Ih25EqS2c=",
            ],
        );
    }

    #[test]
    fn an_account_without_password_is_answered_from_its_decoy() {
        let first = b"n,,n=user,r=abc";
        let answer = |record| {
            start(ScramHash::Sha256, "x")
                .receive(first, &names())
                .unwrap()
                .found(record)
                .1
        };
        let no_password = Some(AccountRecord {
            credentials: None,
            enabled: true,
        });
        assert_eq!(answer(no_password), answer(None));
        let how = Derivation::with_salts([1; SALT_BYTES], [2; SALT_BYTES]);
        let credentials = Credentials::derive(&Password::prepare("x").unwrap(), &how);
        let real = answer(Some(AccountRecord {
            credentials: Some(credentials),
            enabled: true,
        }));
        assert_eq!(real.len(), answer(None).len());
    }
}
