/** What `pages.ts` asks of a book, in the shape in which GraphQL answers; `b` is the book. */
const BOOK = `json_build_object(
  'id', b.id, 'title', b.title, 'author', b.author, 'createdAt', b.created_at,
  'currentParcel', (
    select json_build_object(
      'id', p.id, 'status', upper(p.status), 'statusChangedAt', p.status_changed_at,
      'trackingNumber', p.tracking_number, 'trackingPage', bookpost.parcels_tracking_page(p),
      'estimatedFrom', p.estimated_from, 'estimatedUntil', p.estimated_until,
      'lastLookedAt', bookpost.parcels_last_looked_at(p), 'nextLookAt', bookpost.parcels_next_look_at(p),
      'didLastLookWork', bookpost.parcels_did_last_look_work(p),
      'carrier', json_build_object(
        'name', c.name,
        'carrierCircuit', case when s.api_code is not null then json_build_object('state', upper(s.state), 'openUntil', s.open_until) end
      ),
      'trackingEvents', json_build_object('nodes', array(
        select json_build_object(
          'occurredAt', e.occurred_at, 'localTime', e.local_time, 'status', upper(e.status),
          'description', e.description, 'location', e.location, 'countryCode', e.country_code
        )
        from bookpost.tracking_events e
        where e.parcel_id = p.id
        order by e.sort_at desc, e.sort_rank desc, e.identity desc, e.parcel_id desc
        limit 5
      ))
    )
    from bookpost.parcel_books pb
    join bookpost.parcels p on p.id = pb.parcel_id
    join bookpost.carriers c on c.code = p.carrier_code
    left join bookpost.carrier_circuits s on s.api_code = c.api_code
    where pb.book_id = b.id
    order by (pb.stopped_at is null and p.closed_at is null) desc, pb.started_at desc, pb.parcel_id
    limit 1
  )
)`;

/** Path → the one statement that a person would write for it by hand; its one value is the whole answer as text. */
export const HAND_SQL: Readonly<Record<"/list" | "/book", string>> = {
  "/list": `
    with page as materialized (
      select b.*, row_number() over (order by b.created_at desc, b.id desc) as place
      from bookpost.books b order by b.created_at desc, b.id desc limit 21
    )
    select json_build_object('data', json_build_object('books', json_build_object(
      'nodes', array(select ${BOOK} from page b where b.place <= 20 order by b.place),
      'pageInfo', json_build_object('hasNextPage', (select count(*) > 20 from page))
    )))::text as answer`,
  "/book": `
    select json_build_object('data', json_build_object('book', (
      select ${BOOK} from bookpost.books b where b.id = $1
    )))::text as answer`,
};
