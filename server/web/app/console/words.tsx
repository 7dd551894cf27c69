// How the values of the contract are called.

import { DeliveryState, InvitationStatus } from "../gen/invitations/v1/invitation_pb";
import { common } from "../texts/common";
import { consoleTexts } from "../texts/console";

type Tone = "neutral" | "accent" | "good" | "wait" | "wrong";

export function Badge({ tone = "neutral", children }: { tone?: Tone; children: string }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

export function RoleBadge({ admin }: { admin: boolean }) {
  const roles = common().organizationRoles;
  return admin ? <Badge tone="accent">{roles.admin}</Badge> : <Badge>{roles.member}</Badge>;
}

/** Gives the name of a role as the contract of invitations writes it; that of a named role is its key. */
export function roleName(role: string): string {
  const roles: Readonly<Record<string, string>> = common().organizationRoles;
  return Object.hasOwn(roles, role) ? (roles[role] ?? role) : role;
}

const STATUS_TONES: Partial<Record<InvitationStatus, Tone>> = {
  [InvitationStatus.PENDING]: "accent",
  [InvitationStatus.ACCEPTED]: "good",
  [InvitationStatus.EXPIRED]: "wait",
};

export function StatusBadge({ status }: { status: InvitationStatus }) {
  return (
    <Badge tone={STATUS_TONES[status] ?? "neutral"}>{consoleTexts().invitations.statuses[statusKey(status)]}</Badge>
  );
}

const DELIVERY_TONES: Partial<Record<DeliveryState, Tone>> = {
  [DeliveryState.SENT]: "good",
  [DeliveryState.QUEUED]: "wait",
  [DeliveryState.FAILED]: "wrong",
};

export function DeliveryBadge({ state }: { state: DeliveryState }) {
  return (
    <Badge tone={DELIVERY_TONES[state] ?? "neutral"}>{consoleTexts().invitations.deliveries[deliveryKey(state)]}</Badge>
  );
}

export const STATUSES = {
  pending: InvitationStatus.PENDING,
  accepted: InvitationStatus.ACCEPTED,
  declined: InvitationStatus.DECLINED,
  revoked: InvitationStatus.REVOKED,
  expired: InvitationStatus.EXPIRED,
} as const;

export const DELIVERIES = {
  not_requested: DeliveryState.NOT_REQUESTED,
  queued: DeliveryState.QUEUED,
  sent: DeliveryState.SENT,
  failed: DeliveryState.FAILED,
} as const;

export const STATUS_KEYS = Object.keys(STATUSES) as (keyof typeof STATUSES)[];
export const DELIVERY_KEYS = Object.keys(DELIVERIES) as (keyof typeof DELIVERIES)[];

const statusKey = (status: InvitationStatus) => STATUS_KEYS.find((key) => STATUSES[key] === status) ?? "pending";
const deliveryKey = (state: DeliveryState) => DELIVERY_KEYS.find((key) => DELIVERIES[key] === state) ?? "not_requested";

/** Gives the value that a key of an address stands for, or undefined for one that nobody made. */
export function chosen<T>(table: Readonly<Record<string, T>>, key: string | null): T | undefined {
  return key !== null && Object.hasOwn(table, key) ? table[key] : undefined;
}
