INSTALL iceberg;
LOAD iceberg;
-- Where tokens are demanded, in the place of AUTHORIZATION_TYPE: TOKEN 'hw_…'
ATTACH 'headwater' AS headwater (TYPE iceberg, ENDPOINT '{url}/iceberg', AUTHORIZATION_TYPE 'none');
SELECT * FROM headwater.{table};
