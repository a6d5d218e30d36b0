//! What can be wrong with a key policy, and how each is exploited.

use std::fmt;

/// What a key policy does that lets somebody past the attestation, or that cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is described by its text below")]
pub enum Hole {
    // the document
    TooLarge,
    NotJson,
    DuplicateMember,
    UnknownElement,
    Malformed,
    Version,
    // who
    NegatedElement,
    Anyone,
    AccountRoot,
    OtherPrincipal,
    // what
    ActionWildcard,
    UnlistedAction,
    DecryptUnattested,
    GenerateDataKeyUnattested,
    GenerateWithoutPlaintext,
    GenerateKeyPair,
    Encrypt,
    ReEncrypt,
    CreateGrant,
    ReplicateKey,
    ImportKeyMaterial,
    // changes and management
    PolicyChange,
    PolicyChangeByHost,
    PolicyChangeNotAlone,
    OtherAdmin,
    ManagedByHost,
    // on which condition
    ImageNotBound,
    ConfigurationNotBound,
    PolicyNotBound,
    PassesWithoutDocument,
    NotAMeasurement,
    ZeroMeasurement,
    MixedMeasurements,
    OtherMeasurements,
}

impl Hole {
    /// All of them, in the order of the type.
    pub const ALL: [Self; 34] = [
        Self::TooLarge,
        Self::NotJson,
        Self::DuplicateMember,
        Self::UnknownElement,
        Self::Malformed,
        Self::Version,
        Self::NegatedElement,
        Self::Anyone,
        Self::AccountRoot,
        Self::OtherPrincipal,
        Self::ActionWildcard,
        Self::UnlistedAction,
        Self::DecryptUnattested,
        Self::GenerateDataKeyUnattested,
        Self::GenerateWithoutPlaintext,
        Self::GenerateKeyPair,
        Self::Encrypt,
        Self::ReEncrypt,
        Self::CreateGrant,
        Self::ReplicateKey,
        Self::ImportKeyMaterial,
        Self::PolicyChange,
        Self::PolicyChangeByHost,
        Self::PolicyChangeNotAlone,
        Self::OtherAdmin,
        Self::ManagedByHost,
        Self::ImageNotBound,
        Self::ConfigurationNotBound,
        Self::PolicyNotBound,
        Self::PassesWithoutDocument,
        Self::NotAMeasurement,
        Self::ZeroMeasurement,
        Self::MixedMeasurements,
        Self::OtherMeasurements,
    ];

    /// A name for programs, which stays.
    pub const fn code(self) -> &'static str {
        self.texts().0
    }

    /// How it is exploited, in a sentence.
    pub const fn exploit(self) -> &'static str {
        self.texts().2
    }

    /// Code, what it is, how it is exploited.
    const fn texts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::TooLarge => (
                "too_large",
                "the key policy has more than 32768 bytes",
                "it is no key policy of AWS KMS, and what is not read to its end can hide a \
                 statement that releases the DEK",
            ),
            Self::NotJson => (
                "not_json",
                "the key policy is not one well-formed JSON document whose numbers are integers of 64 \
                 bits",
                "another reader may make sense of it, and find a statement that nobody judged",
            ),
            Self::DuplicateMember => (
                "duplicate_member",
                "a JSON object names a member twice, in this spelling or in another case",
                "one reader takes the first and another the last: AWS may apply a condition or a \
                 principal that was not the one judged here",
            ),
            Self::UnknownElement => (
                "unknown_element",
                "an element that the policy language does not have",
                "what AWS makes of it is not known, so neither is whom the statement lets in",
            ),
            Self::Malformed => (
                "malformed",
                "an element is missing, empty or of another type than the policy language has, or a \
                 name has letters beyond ASCII",
                "what AWS makes of it is not known, so neither is whom the statement lets in",
            ),
            Self::Version => (
                "version",
                "Version is not 2012-10-17",
                "AWS reads any other version, or none, by other rules: what was judged here is not \
                 what it applies",
            ),
            Self::NegatedElement => (
                "negated_element",
                "NotPrincipal, NotAction or NotResource in an Allow",
                "it allows all but what it names: every role that is made later and every action \
                 that was not thought of, Decrypt without attestation among them",
            ),
            Self::Anyone => (
                "anyone",
                "the principal is everybody",
                "any account of AWS, and no credential that could be withdrawn: one flaw in one \
                 condition, and the key is the world's",
            ),
            Self::AccountRoot => (
                "account_root",
                "the principal is a whole account",
                "the decision goes to IAM: whoever may write an IAM policy in that account gives \
                 the actions to themselves, and the key policy never changes",
            ),
            Self::OtherPrincipal => (
                "other_principal",
                "the principal is not a role by its ARN",
                "a user's keys do not expire, a service or an identity provider acts for whoever \
                 talks it into it, and an unknown spelling may mean more than it seems to",
            ),
            Self::ActionWildcard => (
                "action_wildcard",
                "an action with a wildcard",
                "it matches more than was meant, and what KMS adds later: kms:* is Decrypt without \
                 attestation, and PutKeyPolicy besides",
            ),
            Self::UnlistedAction => (
                "unlisted_action",
                "an action that is not known to be harmless",
                "nobody has shown that the DEK stays where it is when this action is used",
            ),
            Self::DecryptUnattested => (
                "decrypt_unattested",
                "kms:Decrypt without attestation conditions",
                "the host sends encrypted_dek without a document, gets the DEK in plaintext, and \
                 opens every sealed key",
            ),
            Self::GenerateDataKeyUnattested => (
                "generate_data_key_unattested",
                "kms:GenerateDataKey without attestation conditions",
                "the host gets an encrypted_dek together with its plaintext, gives the blob to the \
                 enclave as its DEK, and opens every key that is sealed under it",
            ),
            Self::GenerateWithoutPlaintext => (
                "generate_without_plaintext",
                "kms:GenerateDataKeyWithoutPlaintext",
                "it takes no attestation document: the host makes blobs under the KEK that no \
                 enclave made, and puts one in the place of the true encrypted_dek",
            ),
            Self::GenerateKeyPair => (
                "generate_key_pair",
                "kms:GenerateDataKeyPair, with or without plaintext",
                "it makes blobs under the KEK whose plaintext the host knows, or that no enclave \
                 made, and no enclave ever calls it",
            ),
            Self::Encrypt => (
                "encrypt",
                "kms:Encrypt",
                "it takes no attestation document: the host encrypts a DEK of its own choosing, \
                 gives it to the enclave, and opens every key that is sealed under it",
            ),
            Self::ReEncrypt => (
                "re_encrypt",
                "kms:ReEncryptFrom or kms:ReEncryptTo",
                "it takes no attestation document: From carries the DEK to a KEK of the host's own, \
                 where Decrypt gives it in plaintext, and To brings in a DEK that the host knows",
            ),
            Self::CreateGrant => (
                "create_grant",
                "kms:CreateGrant",
                "a grant is not bound by the conditions of the key policy: the host grants itself \
                 Decrypt, without attestation",
            ),
            Self::ReplicateKey => (
                "replicate_key",
                "kms:ReplicateKey or kms:UpdatePrimaryRegion",
                "a replica has the same key material and a key policy of its own, which its maker \
                 writes: it opens encrypted_dek without attestation",
            ),
            Self::ImportKeyMaterial => (
                "import_key_material",
                "kms:ImportKeyMaterial",
                "whoever imports the material of the KEK has it, and decrypts encrypted_dek \
                 outside of KMS",
            ),
            Self::PolicyChange => (
                "policy_change",
                "kms:PutKeyPolicy, where the key policy must be immutable",
                "whoever has it writes a key policy that releases the DEK to themselves",
            ),
            Self::PolicyChangeByHost => (
                "policy_change_by_host",
                "kms:PutKeyPolicy for a role that the DEK is released through",
                "the host has that role's credentials: it writes a key policy that releases the \
                 DEK to itself",
            ),
            Self::PolicyChangeNotAlone => (
                "policy_change_not_alone",
                "kms:PutKeyPolicy together with other actions",
                "the right to change everything hides among the rights of every day, and is handed \
                 on with them",
            ),
            Self::OtherAdmin => (
                "other_admin",
                "kms:PutKeyPolicy or a management action for a role that is no admin role of the \
                 configuration",
                "whoever once could change the policy leaves a role of their own behind, and opens \
                 the KEK later",
            ),
            Self::ManagedByHost => (
                "managed_by_host",
                "a management action for a role that the DEK is released through",
                "the host has that role's credentials: it could destroy the KEK, and every key \
                 with it",
            ),
            Self::ImageNotBound => (
                "image_not_bound",
                "no condition that binds the image: ImageSha384 or PCR0, by StringEquals or \
                 StringEqualsIgnoreCase",
                "any image passes: the host writes one that asks for the DEK and prints it",
            ),
            Self::ConfigurationNotBound => (
                "configuration_not_bound",
                "no condition that binds the configuration: PCR16, by StringEquals or \
                 StringEqualsIgnoreCase",
                "the host boots the true image with a configuration of its own: its policy admins, \
                 its KMS, its roots of TLS",
            ),
            Self::PolicyNotBound => (
                "policy_not_bound",
                "no condition that binds the signing policy: PCR17, by StringEquals or \
                 StringEqualsIgnoreCase",
                "the host boots the true image with any policy that a quorum ever signed, such as \
                 an old one with wider limits or with people who have left",
            ),
            Self::PassesWithoutDocument => (
                "passes_without_document",
                "an attestation condition by …IfExists or ForAllValues",
                "a request without an attestation document passes it: the host asks for the DEK \
                 itself",
            ),
            Self::NotAMeasurement => (
                "not_a_measurement",
                "a value of PCR0, PCR16 or PCR17 that is not 96 hexadecimal digits",
                "with wildcards or variables it may match more than one image, configuration or \
                 policy; otherwise it matches none",
            ),
            Self::ZeroMeasurement => (
                "zero_measurement",
                "a value of PCR0, PCR16 or PCR17 that is zero",
                "PCR0 is zero in debug mode, where the host reads the console of any image; PCR16 \
                 and PCR17 are zero before anything was measured",
            ),
            Self::MixedMeasurements => (
                "mixed_measurements",
                "several values in more than one of PCR0, PCR16 and PCR17",
                "they combine freely: the image of one release runs with the configuration or the \
                 policy of another, which nobody reviewed together; give each its own statement",
            ),
            Self::OtherMeasurements => (
                "other_measurements",
                "the DEK is released to measurements other than those that are allowed",
                "whoever has the image, configuration and policy that the statement names gets the \
                 DEK into it",
            ),
        }
    }
}

/// What it is.
impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.texts().1)
    }
}
