// Imported for its effect, and before anything of PostGraphile's, which looks at this when it is loaded and warns
// where it is unset. Its development mode checks PostGraphile plugins while they are being written, at a cost.
process.env.GRAPHILE_ENV ??= "production";
