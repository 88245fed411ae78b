/**
 * The software bill of materials: CycloneDX 1.5 in JSON, of package-lock.json. `npm sbom` leaves out the native
 * libraries, names the project by its folder and makes another document each time; this one has every package that can
 * be installed, with the hash that npm holds it to, and is the same for the same lock.
 */
import { createHash } from 'node:crypto';
import { productionPackages, readLock } from './production.mjs';

const purl = (name, version) => `pkg:npm/${name.replace('@', '%40')}@${version}`;
const refOf = ({ name, version }) => `${name}@${version}`;

/** `sha512-BASE64` in the hexadecimal that CycloneDX takes. */
function hashes(integrity) {
  const [, bits, base64] = /^sha(256|384|512)-([A-Za-z0-9+/=]+)$/.exec(integrity ?? '') ?? [];
  return base64 === undefined ? [] : [{ alg: `SHA-${bits}`, content: Buffer.from(base64, 'base64').toString('hex') }];
}

/** RFC 9562, version 8: of the content, so that two runs agree. */
function serialOf(text) {
  const hex = createHash('sha256').update(text).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** @param {number} epoch seconds since 1970-01-01 UTC */
export function billOfMaterials(epoch, lock = readLock()) {
  const packages = productionPackages(lock);
  const byPath = new Map(packages.map((each) => [each.path, refOf(each)]));
  const refs = (paths) => [...new Set(paths.map((path) => byPath.get(path)))].toSorted();
  const own = { name: lock.name, version: lock.version };
  const [root] = [lock.packages['']];
  const direct = Object.keys({ ...root.dependencies, ...root.optionalDependencies }).map((name) => `node_modules/${name}`);
  const components = packages.map((each) => ({
    'bom-ref': refOf(each), type: 'library', name: each.name, version: each.version, scope: each.isOptional ? 'optional' : 'required', purl: purl(each.name, each.version),
    hashes: hashes(each.integrity), licenses: [{ license: { id: each.license } }],
    externalReferences: each.resolved === null ? [] : [{ type: 'distribution', url: each.resolved }],
  }));
  const content = {
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString(),
      component: { 'bom-ref': refOf(own), type: 'application', name: own.name, version: own.version, purl: purl(own.name, own.version), licenses: [{ license: { id: root.license } }] },
    },
    components,
    dependencies: [{ ref: refOf(own), dependsOn: refs(direct) }, ...packages.map((each) => ({ ref: refOf(each), dependsOn: refs(each.needs) }))],
  };
  return { $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json', bomFormat: 'CycloneDX', specVersion: '1.5', serialNumber: serialOf(JSON.stringify(content)), version: 1, ...content };
}
