// An OpenID provider (the library is a certified one) for the suite: client credentials in, RS256 access tokens out, over
// https on the loopback. One client per user; a token says who it is in "sun", as Slurm wants it.
//
//   node provider.mjs FOLDER PORT     FOLDER/{cert,key}.pem: its https; FOLDER/keys.json: the private keys it signs with
//
// It signs with the first of the keys and shows the public halves of all.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const [folder, port] = process.argv.slice(2);
const issuer = `https://localhost:${port}`;
const audience = 'urn:slurm';
const client = (name) => ({
  client_id: name,
  client_secret: `${name}-secret`,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
});

const provider = new Provider(issuer, {
  clients: ['alice', 'bob', 'nosuchuser'].map(client),
  jwks: JSON.parse(readFileSync(`${folder}/keys.json`, 'utf8')),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      getResourceServerInfo: () => ({
        scope: 'slurm',
        audience,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 600,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  extraTokenClaims: (_context, token) => ({ sun: token.clientId }),
});

const tls = { cert: readFileSync(`${folder}/cert.pem`), key: readFileSync(`${folder}/key.pem`) };
createServer(tls, provider.callback()).listen(Number(port), '127.0.0.1');
