import { LookupError } from "../errors.ts";

/** Thrown by an adapter whose aggregator must be told of a parcel before it can be asked. The client registers it; nobody else sees this. */
export class NotRegistered extends LookupError {
  override name = "NotRegistered";
  readonly outcome = "not_found";

  constructor() {
    super("NOT_REGISTERED", "The aggregator has not been told of this parcel yet.");
  }
}
