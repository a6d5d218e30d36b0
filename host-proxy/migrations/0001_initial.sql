-- What the host keeps for the enclave. Nothing here is secret and nothing here is trusted: sealed
-- keys and DEKs are ciphertext, receipts are signed. Columns of bytes are standard base64.
-- created_at is the host's clock, for people; nothing is decided by it.

CREATE TABLE deks (
    dek_id        TEXT PRIMARY KEY NOT NULL,
    encrypted_dek TEXT NOT NULL,
    created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;

CREATE TABLE sealed_keys (
    key_id     TEXT PRIMARY KEY NOT NULL,
    wallet     TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL,
    dek_id     TEXT NOT NULL REFERENCES deks (dek_id),
    nonce      TEXT NOT NULL,
    ciphertext TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;

-- A sequence number may stand here twice, under two boots: a fork is evidence, and is kept.
CREATE TABLE receipts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    boot_id    TEXT NOT NULL,
    sequence   INTEGER NOT NULL,
    body       TEXT NOT NULL, -- base64 of the exact bytes
    proof      TEXT NOT NULL, -- JSON array of digests
    head       TEXT NOT NULL, -- JSON of the DSSE envelope
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    UNIQUE (boot_id, sequence)
) STRICT;

CREATE INDEX receipts_by_sequence ON receipts (sequence);
