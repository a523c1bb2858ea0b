# Runs the server until the input ends, then stops it. Each bucket takes seven volumes, which are files that
# grow: there must be enough numbers of them for all buckets of a process.
"$1" server -dir="$2/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 -filer -s3 \
    -master.port="$3" -master.port.grpc="$4" -volume.port="$5" -volume.port.grpc="$6" \
    -filer.port="$7" -filer.port.grpc="$8" -s3.port="$9" -s3.port.grpc="${10}" \
    -s3.port.iceberg=0 -s3.port.lance=0 -s3.config="$2/identities.json" -s3.iam=false \
    -master.telemetry=false -master.volumeSizeLimitMB=256 -volume.max=1000 >"$2/log" 2>&1 &
server=$!
read -r _
kill -KILL $server
wait $server
rm -rf "$2"
