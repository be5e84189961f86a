// Khronos' glTF validator: node validate.cjs FILE prints its report as JSON.
const fs = require("fs");
const path = require("path");
const validator = require("gltf-validator");

const file = process.argv[2];
const beside = (uri) => fs.promises.readFile(path.resolve(path.dirname(file), decodeURIComponent(uri)));

validator
  .validateBytes(new Uint8Array(fs.readFileSync(file)), { uri: path.basename(file), externalResourceFunction: beside })
  .then((report) => console.log(JSON.stringify(report)))
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
