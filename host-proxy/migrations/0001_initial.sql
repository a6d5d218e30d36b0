-- What the host keeps for the enclave. Nothing here is secret and nothing here is trusted: sealed
-- keys and DEKs are ciphertext, receipts are signed. Columns of bytes are standard base64.
-- created_at is the host's clock, for people; nothing is decided by it.

-- Each DEK by its own id. It may be stored as more than one KEK encrypted it: a change of KEK adds a
-- row, and the row before it stays for the way back.
CREATE TABLE deks (
    dek_id TEXT PRIMARY KEY NOT NULL
) STRICT;

CREATE TABLE encrypted_deks (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    dek_id        TEXT NOT NULL REFERENCES deks (dek_id),
    encrypted_dek TEXT NOT NULL,
    created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    UNIQUE (dek_id, encrypted_dek)
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
