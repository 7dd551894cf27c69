// The account of who is signed in, with its memberships: what every view says of names and roles comes from there.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Account, AccountMembership } from "../gen/gitpod/v1/account_pb";
import { OrganizationRole } from "../gen/gitpod/v1/organization_pb";

export interface Mine {
  account: Account;
  /** Asks anew, after something changed what the account is a member of. Where that fails, what was known stays. */
  again: () => Promise<void>;
}

export const MineContext = createContext<Mine | null>(null);

export function useMine(): Mine {
  const mine = useContext(MineContext);
  if (mine === null) throw new Error("a view is shown before its account is known");
  return mine;
}

export const isAdmin = (membership: AccountMembership): boolean => membership.userRole === OrganizationRole.ADMIN;
