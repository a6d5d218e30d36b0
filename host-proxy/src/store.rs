//! What the host keeps for the enclave: DEKs as KMS encrypted them, sealed keys, receipts.
//!
//! SQLite in WAL mode with `synchronous = FULL`: what a call has written is on disk when it
//! returns. The columns `encrypted_dek`, `nonce` and `ciphertext` are base64.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_bytes::ByteBuf;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Executor, Row as _, Sqlite, sqlite::SqliteRow};
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::Envelope;
use strongroom_shared::encoding::Base64;
use strongroom_shared::id::{BootId, DekId, KeyId, WalletId};
use strongroom_shared::json;
use strongroom_shared::receipt::{Head, Position, Receipt};
use strongroom_shared::wire::{KeyKind, SealedKey};

/// For how long a call waits for the database before it fails.
const WAIT: Duration = Duration::from_secs(5);

/// Why something could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database: disk full, read-only, closed, not there.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables are not those of this version.
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database file cannot be made.
    #[error("database file: {0}")]
    File(#[from] std::io::Error),
    /// A column does not hold what was written to it.
    #[error("{table}.{column}: expected {expected}")]
    Column {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// The enclave's receipt cannot be filed.
    #[error("receipt: expected {0}")]
    Receipt(&'static str),
    /// Another receipt of that boot has that sequence number.
    #[error("receipt: its boot has another one of that sequence number")]
    ReceiptConflict,
}

impl StoreError {
    /// Whether the same write may succeed later: a full disk can be emptied.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::PoolClosed) => false,
            Self::Database(sqlx::Error::Database(error)) => {
                !(error.is_unique_violation() || error.is_foreign_key_violation())
            }
            Self::Database(_) => true,
            _ => false,
        }
    }
}

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the database, makes it if it is not there (mode 0600), and brings its tables up to
    /// date. The folder must exist.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(WAIT);
        // SQLite has one writer; one connection, so that our own calls never find it busy.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(WAIT)
            .connect_with(options)
            .await?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Self { pool })
    }

    /// Closes the database; every later call fails.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Keeps a DEK as KMS encrypted it. What is there is never overwritten: after a change of KEK the
    /// same DEK is there twice, and the newer one counts.
    pub async fn put_dek(&self, dek_id: &DekId, encrypted_dek: &[u8]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("INSERT INTO deks (dek_id) VALUES (?) ON CONFLICT DO NOTHING")
            .bind(dek_id.to_string())
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO encrypted_deks (dek_id, encrypted_dek) VALUES (?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(dek_id.to_string())
        .bind(Base64(encrypted_dek.to_vec()).to_string())
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// The DEK that was stored last, as KMS encrypted it.
    pub async fn newest_dek(&self) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query("SELECT encrypted_dek FROM encrypted_deks ORDER BY id DESC LIMIT 1")
            .fetch_optional(&self.pool)
            .await?
            .map(|row| Ok(base64(&row, "encrypted_deks", "encrypted_dek")?.0))
            .transpose()
    }

    /// Whether this DEK is stored.
    pub async fn has_dek(&self, dek_id: &DekId) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM deks WHERE dek_id = ?")
            .bind(dek_id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// Keeps a receipt; one that is there already is left as it is.
    pub async fn put_receipt(&self, receipt: &Receipt) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        insert_receipt(&mut transaction, receipt).await?;
        Ok(transaction.commit().await?)
    }

    /// Up to which sequence number every receipt of a boot is stored, from its first on; 0 where there
    /// is none.
    pub async fn gapless_to(&self, boot_id: &BootId) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "SELECT sequence FROM receipts AS held WHERE boot_id = ?1 AND NOT EXISTS (
             SELECT 1 FROM receipts WHERE boot_id = ?1 AND sequence = held.sequence + 1)
             ORDER BY sequence LIMIT 1",
        )
        .bind(boot_id.as_str())
        .fetch_optional(&self.pool)
        .await?;
        let sequence = row.map_or(Ok(0), |row| row.try_get::<i64, _>("sequence"))?;
        u64::try_from(sequence).map_err(|_| StoreError::Column {
            table: "receipts",
            column: "sequence",
            expected: "a number that is not negative",
        })
    }

    /// Keeps a sealed key and the receipt of its creation: both or neither.
    pub async fn put_wallet(&self, key: &SealedKey, receipt: &Receipt) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        let SealedKey { key_id, kind, wallet, dek_id, nonce, ciphertext } = key;
        // The very same row again is no conflict: a commit may fail after it took effect.
        sqlx::query(
            "INSERT INTO sealed_keys (key_id, wallet, kind, dek_id, nonce, ciphertext)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM sealed_keys
             WHERE key_id = ?1 AND wallet = ?2 AND dek_id = ?4 AND ciphertext = ?6)",
        )
        .bind(key_id.as_str())
        .bind(wallet.as_str())
        .bind(kind.as_str())
        .bind(dek_id.to_string())
        .bind(Base64(nonce.to_vec()).to_string())
        .bind(Base64(ciphertext.to_vec()).to_string())
        .execute(&mut *transaction)
        .await?;
        insert_receipt(&mut transaction, receipt).await?;
        Ok(transaction.commit().await?)
    }

    /// Every sealed key, in the order of creation.
    pub async fn sealed_keys(&self) -> Result<Vec<SealedKey>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM sealed_keys ORDER BY rowid").fetch_all(&self.pool).await?;
        rows.iter().map(sealed_key).collect()
    }

    /// Whether a sealed key of this wallet is stored.
    pub async fn has_wallet(&self, wallet: &WalletId) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM sealed_keys WHERE wallet = ?")
            .bind(wallet.as_str())
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// Where the receipt chain ends: the highest sequence number, and of a fork the branch that was
    /// stored last.
    pub async fn position(&self) -> Result<Option<Position>, StoreError> {
        let newest = "SELECT * FROM receipts ORDER BY sequence DESC, id DESC LIMIT 1";
        let Some(row) = sqlx::query(newest).fetch_optional(&self.pool).await? else {
            return Ok(None);
        };
        let receipt = stored_receipt(&row)?;
        Ok(Some(Position {
            sequence: receipt.sequence,
            body: Digest::of(&receipt.body.0),
            head: receipt.head.digest(),
        }))
    }

    /// The receipts with this sequence number: several where the chain forked.
    pub async fn receipts_at(&self, sequence: u64) -> Result<Vec<Receipt>, StoreError> {
        let rows = sqlx::query("SELECT * FROM receipts WHERE sequence = ? ORDER BY id")
            .bind(column_sequence(sequence)?)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(stored_receipt).collect()
    }
}

async fn insert_receipt(
    connection: &mut sqlx::SqliteConnection,
    receipt: &Receipt,
) -> Result<(), StoreError> {
    let Receipt { body, sequence, proof, head } = receipt;
    let signed: Head = json::parse("receipt head", &head.payload.0)
        .map_err(|_| StoreError::Receipt("a head of this version"))?;
    if !(signed.first..=signed.last).contains(sequence) {
        return Err(StoreError::Receipt("a sequence number within its head's group"));
    }
    let (boot_id, sequence) = (signed.boot_id.as_str(), column_sequence(*sequence)?);
    let written = connection
        .execute(
            sqlx::query(
                "INSERT INTO receipts (boot_id, sequence, body, proof, head)
                 VALUES (?, ?, ?, ?, ?) ON CONFLICT (boot_id, sequence) DO NOTHING",
            )
            .bind(boot_id)
            .bind(sequence)
            .bind(body.to_string())
            .bind(as_json(proof)?)
            .bind(as_json(head)?),
        )
        .await?
        .rows_affected();
    if written == 0 {
        let stored = by_boot(connection, boot_id, sequence).await?;
        if stored != *body {
            return Err(StoreError::ReceiptConflict);
        }
    }
    Ok(())
}

async fn by_boot<'c>(
    connection: impl Executor<'c, Database = Sqlite>,
    boot_id: &str,
    sequence: i64,
) -> Result<Base64, StoreError> {
    let row = sqlx::query("SELECT body FROM receipts WHERE boot_id = ? AND sequence = ?")
        .bind(boot_id)
        .bind(sequence)
        .fetch_one(connection)
        .await?;
    base64(&row, "receipts", "body")
}

fn stored_receipt(row: &SqliteRow) -> Result<Receipt, StoreError> {
    let wrong = |column, expected| StoreError::Column { table: "receipts", column, expected };
    let head: Envelope = json::parse("receipt head", row.try_get::<&str, _>("head")?.as_bytes())
        .map_err(|_| wrong("head", "the JSON of an envelope"))?;
    let proof: Vec<Digest> = json::parse("proof", row.try_get::<&str, _>("proof")?.as_bytes())
        .map_err(|_| wrong("proof", "a JSON array of digests"))?;
    let sequence = u64::try_from(row.try_get::<i64, _>("sequence")?)
        .map_err(|_| wrong("sequence", "a number that is not negative"))?;
    Ok(Receipt { body: base64(row, "receipts", "body")?, sequence, proof, head })
}

fn sealed_key(row: &SqliteRow) -> Result<SealedKey, StoreError> {
    fn text<T>(
        row: &SqliteRow,
        column: &'static str,
        parse: fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<T, StoreError> {
        let wrong = StoreError::Column { table: "sealed_keys", column, expected };
        parse(row.try_get(column)?).ok_or(wrong)
    }
    Ok(SealedKey {
        key_id: text(row, "key_id", KeyId::parse, "a key id")?,
        kind: text(row, "kind", KeyKind::parse, "a kind of key")?,
        wallet: text(row, "wallet", WalletId::parse, "a wallet name")?,
        dek_id: text(row, "dek_id", DekId::parse, "a DEK id")?,
        nonce: ByteBuf::from(base64(row, "sealed_keys", "nonce")?.0),
        ciphertext: ByteBuf::from(base64(row, "sealed_keys", "ciphertext")?.0),
    })
}

fn base64(
    row: &SqliteRow,
    table: &'static str,
    column: &'static str,
) -> Result<Base64, StoreError> {
    let wrong = StoreError::Column { table, column, expected: "standard base64 with padding" };
    Base64::parse(row.try_get(column)?).ok_or(wrong)
}

fn column_sequence(sequence: u64) -> Result<i64, StoreError> {
    i64::try_from(sequence).map_err(|_| StoreError::Receipt("a sequence number below 2^63"))
}

fn as_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Receipt("what JSON can hold"))
}
