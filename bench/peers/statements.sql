-- What the twins ask of a database of this service's, one statement under each name. They are the statements of
-- server/store, without the columns that these five calls don't need.

-- name: caller
SELECT a.id, a.name, a.email, a.avatar_url, a.issuer, t.read_only, t.user_id, t.organization_id, t.expires_at,
    t.revoked_at
FROM access_tokens t JOIN accounts a ON a.id = t.account_id WHERE t.token_hash = :hash

-- name: summary
SELECT o.id, o.name, o.member_count FROM invite_links l JOIN organizations o ON o.id = l.organization_id
WHERE l.lookup_hash = :hash

-- name: membership
SELECT user_id, role, status, joined_at, full_name, email, avatar_url, login_provider FROM members
WHERE organization_id = :organization AND account_id = :account

-- name: put_link
INSERT INTO invite_links (organization_id, id, key_id, lookup_hash, created_by, created_at)
VALUES (:organization, :id, '0123456789abcdef', :hash, :user, :now)
ON CONFLICT (organization_id) DO UPDATE SET id = excluded.id, key_id = excluded.key_id,
    lookup_hash = excluded.lookup_hash, created_by = excluded.created_by, created_at = excluded.created_at

-- name: add_member
INSERT INTO members (user_id, organization_id, account_id, role, status, joined_at, full_name, name_key, email,
    email_key, avatar_url, login_provider)
VALUES (:user, :organization, :account, 'member', 'active', :now, :name, :name_key, :email, :email_key, :avatar,
    :provider)

-- name: return_member
UPDATE members SET role = 'member', status = 'active', joined_at = :now WHERE user_id = :user

-- name: count_member
UPDATE organizations SET member_count = member_count + 1 WHERE id = :organization

-- name: members
SELECT user_id, role, status, joined_at, full_name, email, avatar_url, login_provider, name_key FROM members
WHERE organization_id = :organization AND status = 'active' AND user_id <> :caller
    AND (name_key, user_id) > (:after_key, :after_id)
ORDER BY name_key, user_id LIMIT :limit

-- name: member_by_email
SELECT 1 FROM members WHERE organization_id = :organization AND email_key = :email_key AND status = 'active' LIMIT 1

-- name: pending_invitation
SELECT id, expires_at FROM invitations
WHERE organization_id = :organization AND email_key = :email_key AND status = 'pending'

-- name: expire_invitation
UPDATE invitations SET status = 'expired', updated_at = :now WHERE id = :id

-- name: count_mails
SELECT count(*) FROM outbox WHERE email_key = :email_key AND created_at > :since

-- name: add_invitation
INSERT INTO invitations (id, organization_id, email, email_key, role, named_roles, status, inviter_account_id,
    inviter_name, inviter_key, public_metadata, private_metadata, redirect_url, locale, delivery_state, delivery_error,
    generation, key_id, token_hash, created_at, updated_at, expires_at)
VALUES (:id, :organization, :email, :email_key, :role, '', 'pending', :inviter, :inviter_name, :inviter_key, '{}', '{}',
    '', '', :delivery, '', 1, '0123456789abcdef', :hash, :now, :now, :expires)

-- name: queue_mail
INSERT INTO outbox (id, organization_id, invitation_id, generation, email_key, state, attempts, error, link, created_at,
    next_attempt_at)
VALUES (:id, :organization, :invitation, 1, :email_key, 'queued', 0, '', '', :now, :now)
