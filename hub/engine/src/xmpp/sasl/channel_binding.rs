//! What ties a sign-in to the TLS channel under it, so that nobody can sit between the two.
//!
//! Implements: RFC 5929 §4 tls-server-end-point, RFC 9266 tls-exporter, XEP-0440 1.0.0 (the list to advertise), S25.
//! Not: tls-unique (RFC 5929 §3), which TLS 1.3 does not have and which RFC 9266 replaces.

/// RFC 9266 §2: the label under which the shell exports keying material, with an empty context.
pub const TLS_EXPORTER_LABEL: &str = "EXPORTER-Channel-Binding";
/// RFC 9266 §2: how much of it.
pub const TLS_EXPORTER_BYTES: usize = 32;

/// A channel binding type of the IANA registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBindingType {
    /// A hash of the hub's certificate. XEP-0440 §3 rule 1: servers implement and advertise it.
    TlsServerEndPoint,
    /// A key that only the two ends of this connection can compute: stronger, where the TLS version allows it (S25).
    TlsExporter,
}

impl ChannelBindingType {
    /// All of them, the strongest first.
    pub const ALL: [Self; 2] = [Self::TlsExporter, Self::TlsServerEndPoint];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TlsServerEndPoint => "tls-server-end-point",
            Self::TlsExporter => "tls-exporter",
        }
    }

    /// By its registered name, which is case-sensitive like the rest of SCRAM's message.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The binding data of one channel, computed by the shell. Empty for a plain stream.
///
/// `tls-server-end-point` is of the certificate that this connection was shown, whatever was loaded since (S25).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    exporter: Option<Box<[u8]>>,
    server_end_point: Option<Box<[u8]>>,
}

impl ChannelBindings {
    /// A channel that cannot be bound to.
    pub const NONE: Self = Self {
        exporter: None,
        server_end_point: None,
    };

    /// Adds one type. Empty data would bind to nothing, so it adds nothing.
    pub fn with(mut self, kind: ChannelBindingType, data: &[u8]) -> Self {
        let data = (!data.is_empty()).then(|| data.into());
        match kind {
            ChannelBindingType::TlsExporter => self.exporter = data,
            ChannelBindingType::TlsServerEndPoint => self.server_end_point = data,
        }
        self
    }

    /// The data of one type, if this channel has it.
    pub fn data(&self, kind: ChannelBindingType) -> Option<&[u8]> {
        match kind {
            ChannelBindingType::TlsExporter => self.exporter.as_deref(),
            ChannelBindingType::TlsServerEndPoint => self.server_end_point.as_deref(),
        }
    }

    /// The types to advertise (XEP-0440 §2), the strongest first.
    pub fn types(&self) -> impl Iterator<Item = ChannelBindingType> {
        ChannelBindingType::ALL
            .into_iter()
            .filter(|kind| self.data(*kind).is_some())
    }

    /// Is there nothing to bind to, and so no -PLUS mechanism to offer?
    pub fn is_empty(&self) -> bool {
        self.types().next().is_none()
    }
}

impl std::fmt::Debug for ChannelBindings {
    /// Exported keying material stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.types().map(ChannelBindingType::name))
            .finish()
    }
}
