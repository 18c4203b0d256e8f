//! A stream before its resource is bound.
//!
//! Implements: RFC 6120 §4.3 negotiation, §4.7 stream attributes, §5 STARTTLS (the request), §7 resource binding.
//! Sign-in is in `sign_in`, registration in `registration`.

use crate::{
    address::{BareJid, Jid, prepare_domain},
    command::{Answer, Command, Reply, Transport},
    refusal::{Reason, Refusal},
    time::{Instant, Now},
    xmpp::{
        bind, features,
        framing::StreamHeader,
        namespace as ns,
        output::{Output, WorkDone},
        sasl::{ChannelBindings, Exchange, Mechanism},
        stanza::{Stanza, StanzaName, open_result, write_error},
        starttls,
        stream_error::{Condition, Limit, StreamError},
        xml::{Element, Writer},
    },
};

use super::{
    Flow,
    asked::{Asked, ask},
    registration::Registering,
    shared::{LinkSecurity, Surroundings},
    sign_in::Verdict,
};

/// All that a stream needs until it is bound.
pub(super) struct Negotiation {
    pub(super) security: LinkSecurity,
    /// By when sign-in, then binding, must be done.
    pub(super) deadline: Instant,
    header_sent: bool,
    /// What was advertised on this stream.
    pub(super) offered: Vec<Mechanism>,
    /// Sign-ins that failed on this link.
    pub(super) failures: u32,
    /// Registrations asked for on this link.
    pub(super) registrations: u32,
    /// Who wants to sign in.
    pub(super) login: Option<BareJid>,
    /// Who has signed in, and how.
    pub(super) signed_in: Option<(BareJid, Mechanism)>,
    /// What was read while nothing could be made of it.
    held: Vec<u8>,
    pub(super) expect: Expect,
}

/// What is expected next.
pub(super) enum Expect {
    /// From the peer: its header.
    Header,
    /// From the peer: STARTTLS, a sign-in, a registration.
    SignIn,
    /// From the shell: TLS.
    Tls,
    /// From the peer: its answer to a challenge.
    Response(Box<Exchange>),
    /// From the router: the keys of an account.
    Keys(Box<Exchange>),
    /// From the shell: whether a password fits.
    PasswordCheck(Box<Exchange>),
    /// From the router: how long to hold back a verdict.
    HoldBack(Box<Verdict>),
    /// From the clock: that a verdict may be told.
    Release {
        /// When.
        at: Instant,
        /// Which.
        verdict: Box<Verdict>,
    },
    /// From the shell, then the router: a new account.
    Registration(Box<Registering>),
    /// From the peer: a request to bind.
    Bind,
    /// From the router: the resource.
    Attached,
}

impl std::fmt::Debug for Negotiation {
    /// Neither keys nor what a peer said of its password belong in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Negotiation")
            .field("login", &self.login)
            .field("signed_in", &self.signed_in)
            .finish_non_exhaustive()
    }
}

impl Negotiation {
    pub(super) const fn new(security: LinkSecurity, deadline: Instant) -> Self {
        Self {
            security,
            deadline,
            header_sent: false,
            offered: Vec::new(),
            failures: 0,
            registrations: 0,
            login: None,
            signed_in: None,
            held: Vec::new(),
            expect: Expect::Header,
        }
    }

    /// Whether the peer's next word must wait.
    pub(super) const fn is_holding(&self) -> bool {
        match self.expect {
            Expect::Header | Expect::SignIn | Expect::Response(_) | Expect::Bind => false,
            Expect::Tls
            | Expect::Keys(_)
            | Expect::PasswordCheck(_)
            | Expect::HoldBack(_)
            | Expect::Release { .. }
            | Expect::Registration(_)
            | Expect::Attached => true,
        }
    }

    pub(super) const fn is_securing(&self) -> bool {
        matches!(self.expect, Expect::Tls)
    }

    pub(super) const fn is_secure(&self) -> bool {
        self.security.is_tls()
    }

    pub(super) const fn is_signed_in(&self) -> bool {
        self.signed_in.is_some()
    }

    /// Keeps what was read, for later.
    pub(super) fn hold(&mut self, input: &[u8], bytes_max: usize) -> Result<(), StreamError> {
        if self.held.len() + input.len() > bytes_max {
            let max = u32::try_from(bytes_max).unwrap_or(u32::MAX);
            return Err(StreamError::Limit(Limit::StanzaBytes(max)));
        }
        self.held.extend_from_slice(input);
        Ok(())
    }

    pub(super) fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    pub(super) fn next_deadline(&self) -> Instant {
        match &self.expect {
            Expect::Release { at, .. } => self.deadline.min(*at),
            _ => self.deadline,
        }
    }

    pub(super) fn expect_tls(&mut self) {
        self.expect = Expect::Tls;
    }

    /// RFC 6120 §5.4.3.3: after the handshake all begins anew, and nothing known before it counts.
    pub(super) fn secured(&mut self, security: LinkSecurity) {
        let (deadline, failures) = (self.deadline, self.failures);
        *self = Self {
            failures,
            ..Self::new(security, deadline)
        };
    }

    /// The peer's header: ours, then what we offer.
    pub(super) fn on_header(
        &mut self,
        header: &StreamHeader,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        let from = header.from.as_deref().map(Jid::parse);
        let known = from.as_ref().and_then(|from| from.as_ref().ok());
        // RFC 6120 §4.9.1.2: our header comes before any error about the peer's.
        self.write_header(known, around, out);
        // §4.7.5: without a version the peer speaks what was before XMPP 1.0.
        let major = header.version.as_deref().and_then(major_version);
        if major.is_none_or(|major| major == 0) {
            return Err(StreamError::Peer(
                Condition::UnsupportedVersion,
                "this hub speaks XMPP 1.0",
            ));
        }
        match header.to.as_deref().map(prepare_domain) {
            Some(Ok(host)) if host == around.shared.domain.as_str() => {}
            // §4.7.2: the peer names the host that it wants.
            None => {
                return Err(StreamError::Peer(
                    Condition::ImproperAddressing,
                    "the stream header has no 'to'",
                ));
            }
            // §4.9.3.6.
            Some(_) => {
                return Err(StreamError::Policy(
                    Condition::HostUnknown,
                    "this host is not served here",
                ));
            }
        }
        if let Some((account, _)) = &self.signed_in {
            // §4.9.3.9: who has signed in is no longer whoever it says.
            if from.is_some_and(|from| from.map_or(true, |from| from.bare() != *account)) {
                return Err(StreamError::Peer(
                    Condition::InvalidFrom,
                    "'from' is not who signed in",
                ));
            }
            features::write_after_sign_in(around.shared.hub(), &mut out.bytes);
            self.expect = Expect::Bind;
        } else {
            self.offered = self.with_channel(around, |channel| channel.offered());
            let shared = &around.shared;
            features::BeforeSignIn {
                starttls: (shared.tls_available && !self.is_secure()).then_some(shared.require_tls),
                mechanisms: &self.offered,
                bindings: self.bindings(),
                registration: self.may_register(around),
            }
            .write(&mut out.bytes);
            self.expect = Expect::SignIn;
        }
        Ok(Flow::Go)
    }

    /// A header of ours, if none was sent since the stream last began.
    pub(super) fn ensure_header(&mut self, around: &mut Surroundings, out: &mut Output) {
        if !self.header_sent {
            self.write_header(None, around, out);
        }
    }

    /// After a sign-in the stream begins anew (RFC 6120 §6.4.6).
    pub(super) fn begin_anew(&mut self, deadline: Instant) {
        self.header_sent = false;
        self.deadline = deadline;
        self.expect = Expect::Header;
        self.offered = Vec::new();
        self.login = None;
    }

    pub(super) const fn bindings(&self) -> &ChannelBindings {
        match &self.security {
            LinkSecurity::Plain => &ChannelBindings::NONE,
            LinkSecurity::Tls { bindings, .. } => bindings,
        }
    }

    pub(super) fn on_element(
        &mut self,
        element: Element<'_>,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        match (element.namespace(), element.name()) {
            (ns::TLS, "starttls") if self.signed_in.is_none() => Ok(self.on_starttls(around, out)),
            (ns::SASL, name) if self.signed_in.is_none() => {
                self.on_sasl(name, element, around, now, out)
            }
            _ => match (Stanza::read(element), &self.expect) {
                (Some(stanza), Expect::Bind) => self.on_bind(&stanza, around, out),
                (Some(stanza), Expect::SignIn) if self.may_register(around) => {
                    self.on_register(&stanza, around, out)
                }
                // RFC 6120 §4.9.3.12, §6.3.2 and §7.1: no stanza before sign-in and binding.
                (Some(_), _) => Err(too_early()),
                // §4.9.3.24; a second sign-in, too, is an element that means nothing any more.
                (None, _) => Err(StreamError::Peer(
                    Condition::UnsupportedStanzaType,
                    "this element has no meaning here",
                )),
            },
        }
    }

    pub(super) fn on_answer(
        &mut self,
        answer: Answer,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        match std::mem::replace(&mut self.expect, Expect::SignIn) {
            Expect::Keys(exchange) => self.on_keys(exchange, answer.result, around, now, out),
            Expect::HoldBack(verdict) => self.on_wait(verdict, &answer.result, around, now, out),
            Expect::Registration(registering) => {
                registering.answered(answer.result, out);
                Ok(Flow::Go)
            }
            Expect::Attached => {
                self.expect = Expect::Bind;
                Ok(self.on_attached(answer, out))
            }
            // Nothing was asked.
            other => {
                self.expect = other;
                Ok(Flow::Go)
            }
        }
    }

    pub(super) fn on_work(
        &mut self,
        done: WorkDone,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        match (std::mem::replace(&mut self.expect, Expect::SignIn), done) {
            (Expect::PasswordCheck(exchange), WorkDone::PasswordChecked(fits)) => {
                self.on_password_checked(exchange, fits, around, now, out)
            }
            (Expect::Registration(registering), WorkDone::Derived(credentials)) => {
                if let Some(registering) = registering.derived(credentials, around, out) {
                    self.expect = Expect::Registration(registering);
                }
                Ok(Flow::Go)
            }
            (other, _) => {
                self.expect = other;
                Ok(Flow::Go)
            }
        }
    }

    pub(super) fn on_time(
        &mut self,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        if let Expect::Release { at, .. } = &self.expect
            && *at <= now.mono
            && let Expect::Release { verdict, .. } =
                std::mem::replace(&mut self.expect, Expect::SignIn)
        {
            return self.tell(*verdict, around, now, out);
        }
        if self.deadline <= now.mono {
            // RFC 6120 §4.9.3.4.
            return Err(StreamError::Policy(
                Condition::ConnectionTimeout,
                "sign-in took too long",
            ));
        }
        Ok(Flow::Go)
    }

    fn on_starttls(&self, around: &Surroundings, out: &mut Output) -> Flow {
        if matches!(self.expect, Expect::SignIn) && !self.is_secure() && around.shared.tls_available
        {
            return Flow::StartTls;
        }
        // RFC 6120 §5.4.2.2: it was not offered, or a sign-in is under way.
        starttls::write_failure(&mut out.bytes);
        Flow::Refused
    }

    fn on_bind(
        &mut self,
        stanza: &Stanza<'_>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        let bind = stanza.element.child("bind", ns::BIND);
        let (StanzaName::Iq, Some(bind), Some((account, mechanism))) =
            (stanza.name, bind, &self.signed_in)
        else {
            // RFC 6120 §7.1: nothing else before a resource is bound.
            return Err(too_early());
        };
        let resource = if stanza.kind == Some("set") && stanza.id.is_some() {
            bind::read_resource(bind)
        } else {
            Err(Refusal::new(Reason::BadRequest).say("to bind is a set with an id"))
        };
        let resource = match resource {
            // RFC 6120 §7.6: made by the hub, and not to be guessed: whoever knows a full address can write to it.
            Ok(resource) => resource.unwrap_or_else(|| around.seed.text().into()),
            Err(refusal) => {
                stanza.refuse(&refusal, None, None, &mut out.bytes);
                return Ok(Flow::Go);
            }
        };
        let command = Command::Attach {
            account: account.clone(),
            resource: Some(resource),
            transport: Transport {
                protocol: "xmpp",
                peer: around.peer,
                tls: self.is_secure(),
                mechanism: mechanism.name(),
            },
        };
        ask(Asked::Bind.token(stanza, None), command, around, out);
        self.expect = Expect::Attached;
        Ok(Flow::Go)
    }

    fn on_attached(&self, answer: Answer, out: &mut Output) -> Flow {
        let id = &answer.token.id;
        let refusal = match answer.result {
            Ok(Reply::Attached { jid }) => {
                let mut w = Writer::new(&mut out.bytes);
                open_result(&mut w, id, None, None);
                bind::write_bound(&jid, &mut w);
                w.close("iq");
                return Flow::Bound(jid);
            }
            Ok(_) => Reason::InternalServerError.into(),
            // RFC 6120 §7.6.2.1: too many sessions, for instance. The client may try again.
            Err(refusal) => refusal,
        };
        write_error(
            StanzaName::Iq,
            Some(id),
            None,
            None,
            &refusal,
            &mut out.bytes,
        );
        Flow::Go
    }

    fn write_header(&mut self, peer: Option<&Jid>, around: &mut Surroundings, out: &mut Output) {
        self.header_sent = true;
        out.bytes.extend_from_slice(b"<?xml version='1.0'?>");
        let mut w = Writer::new(&mut out.bytes);
        w.open("stream:stream")
            .attr("xmlns", ns::CLIENT)
            .attr("xmlns:stream", ns::STREAMS)
            // §4.7.3: unique and unpredictable, anew for every stream.
            .attr("id", &around.seed.text())
            .attr("from", around.shared.domain.as_str())
            .attr_opt("to", peer.map(Jid::as_str))
            .attr("version", "1.0")
            .attr("xml:lang", "en")
            .finish_tag();
    }
}

fn too_early() -> StreamError {
    StreamError::Peer(
        Condition::NotAuthorized,
        "no stanzas before sign-in and binding",
    )
}

/// RFC 6120 §4.7.5: two numbers with a dot between them.
fn major_version(version: &str) -> Option<u32> {
    let (major, minor) = version.split_once('.')?;
    minor.parse::<u32>().ok()?;
    major.parse().ok()
}
