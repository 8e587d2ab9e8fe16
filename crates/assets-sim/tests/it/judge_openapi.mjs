// What Atlassian's own description of Assets on Cloud says of the simulator's answers: judge_openapi.mjs URL NODE_MODULES.
//
// The client of jira-insights-api was generated from the description, and so were the schemas beside it, which each answer is held against. The site has an
// empty schema CLOUD. It ends with the first thing that is not as it should be.

import assert from 'node:assert/strict';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [address, modules] = process.argv.slice(2);
const generated = path.join(modules, 'jira-insights-api', 'dist', 'generated');
const load = (file) => import(pathToFileURL(path.join(generated, file)));
const { OpenAPI } = await load('core/OpenAPI.js');
const { DefaultService: assets } = await load('services/DefaultService.js');

/** Holds a value against what the description says of it; `where` is for whoever reads the failure. */
async function hold(value, schema, where) {
    const { type = 'object' } = schema;
    if (schema.properties) {
        assert.equal(typeof value, 'object', where);
        for (const [name, member] of Object.entries(schema.properties)) {
            if (value[name] !== undefined) await hold(value[name], member, `${where}.${name}`);
            else assert.ok(!member.isRequired, `${where}.${name} is missing`);
        }
    } else if (type === 'array') {
        assert.ok(Array.isArray(value), where);
        for (const [at, element] of value.entries()) await hold(element, schema.contains, `${where}[${at}]`);
    } else if (type === 'one-of') {
        await hold(value, schema.contains[0], where);
    } else if (/^[A-Z]/.test(type)) {
        const name = `$${type}`;
        await hold(value, (await load(`schemas/${name}.js`))[name], where);
    } else {
        assert.equal(typeof value, { dictionary: 'object' }[type] ?? type, where);
        if (schema.format === 'date-time') assert.ok(!Number.isNaN(Date.parse(value)), where);
    }
    return value;
}

const is = async (type, answer) => hold(await answer, { type }, type);
const are = async (type, answer) => hold(await answer, { type: 'array', contains: { type } }, type);

async function refused(status, answer) {
    const error = await answer.then(() => assert.fail(`${status} did not come`), (error) => error);
    assert.equal(error.status, status, error.message);
    return is('Errors', error.body);
}

function log(user) {
    OpenAPI.USERNAME = `${user}@example.com`;
    OpenAPI.PASSWORD = `${user}-token`;
}

log('integration');
OpenAPI.BASE = address;
const credentials = { authorization: `Basic ${btoa('integration@example.com:integration-token')}` };
const workspaces = await (await fetch(`${address}/rest/servicedeskapi/assets/workspace`, { headers: credentials })).json();
OpenAPI.BASE = `${address}/jsm/assets/workspace/${workspaces.values[0].workspaceId}/v1`;

const schemas = await is('ObjectSchemaList', assets.schemaList());
const schema = schemas.values[0].id;
await is('ObjectSchema', assets.schemaFind({ id: schema }));
await refused(404, assets.schemaFind({ id: '999' }));
await refused(403, assets.schemaCreate({ requestBody: { name: 'New', objectSchemaKey: 'NEW' } }));
log('admin');
const made = await is('ObjectSchema', assets.schemaCreate({ requestBody: { name: 'New', objectSchemaKey: 'NEW', description: 'd' } }));
await is('ObjectSchema', assets.schemaUpdate({ id: made.id, requestBody: { name: 'Newer', objectSchemaKey: 'NEW' } }));
await is('ObjectSchema', assets.schemaDelete({ id: made.id }));
log('integration');

const icon = (await are('Icon', assets.iconFindGlobalIcons()))[0].id;
await is('Icon', assets.iconFind({ id: icon }));
const type = (name, more) =>
    is('ObjectType', assets.objectTypeCreate({ requestBody: { name, iconId: icon, objectSchemaId: schema, description: '', ...more } }));
const above = await type('Resource', { inherited: true, abstractObjectType: true });
const group = await type('Group');
const machine = await type('Machine', { parentObjectTypeId: above.id });
await is('ObjectType', assets.objectTypeFind({ id: machine.id }));
await is('ObjectType', assets.objectTypeUpdate({ id: machine.id, requestBody: { name: 'Machine', iconId: icon } }));
await is('ObjectType', assets.objectTypeChangePosition({ id: group.id, requestBody: { position: 1 } }));
const status = await is('Status', assets.statusCreate({ requestBody: { name: 'Retired', category: 0, objectSchemaId: schema } }));
await is('Status', assets.statusFind({ id: status.id }));
await is('Status', assets.statusUpdate({ id: status.id, requestBody: { name: 'Retired', category: 2 } }));
await are('Status', assets.statusList({ objectSchemaId: schema }));
const attribute = (requestBody) => is('ObjectTypeAttribute', assets.objectTypeAttributeCreate({ objectTypeId: machine.id, requestBody }));
const identity = await attribute({ name: 'Provider ID', type: 0, defaultTypeId: 0, uniqueAttribute: true });
const groups = await attribute({ name: 'Groups', type: 1, typeValue: group.id, additionalValue: '1', maximumCardinality: -1 });
const lifecycle = await attribute({ name: 'Lifecycle', type: 7, typeValueMulti: [status.id] });
const owner = await attribute({ name: 'Owner', type: 2, additionalValue: 'SHOW_PROFILE' });
const team = await attribute({ name: 'Team', type: 4 });
const seen = await attribute({ name: 'Seen', type: 0, defaultTypeId: 6 });
const changed = { id: identity.id, objectTypeId: machine.id, requestBody: { description: 'the provider\'s' } };
await is('ObjectTypeAttribute', assets.objectTypeAttributeUpdate(changed));
await assets.objectTypeAttributeDelete({ id: (await attribute({ name: 'Spare', type: 0, defaultTypeId: 9 })).id });
const known = await are('ObjectTypeAttribute', assets.objectTypeFindAllAttributes({ id: machine.id, query: '' }));
assert.equal(known.length, 10);
await are('ObjectTypeAttribute', assets.schemaFindAllAttributes({ id: schema, query: '', extended: true }));
await are('ObjectType', assets.schemaFindAllObjectTypes({ id: schema }));
assert.equal((await are('ObjectType', assets.schemaFindAllObjectTypesFlat({ id: schema, query: '', includeObjectCounts: true }))).length, 3);
await assets.generalConfigurationUpdate({ id: schema, requestBody: { allowOtherObjectSchema: true } });

const named = (attributes, name) => attributes.find((attribute) => attribute.name === name).id;
const value = (id, ...values) => ({ objectTypeAttributeId: id, objectAttributeValues: values.map((value) => ({ value })) });
const groupName = named(await are('ObjectTypeAttribute', assets.objectTypeFindAllAttributes({ id: group.id, query: '' })), 'Name');
const create = (objectTypeId, attributes) => assets.objectCreate({ requestBody: { objectTypeId, attributes } });
const web = await is('Object', create(group.id, [value(groupName, 'web')]));
const myself = await (await fetch(`${address}/rest/api/3/myself`, { headers: credentials })).json();
const attributes = [
    value(named(known, 'Name'), 'web-1'), value(identity.id, 'i-1'), value(groups.id, web.objectKey), value(lifecycle.id, status.id),
    value(owner.id, myself.accountId), value(team.id, 'cloud-operations'), value(seen.id, '2026-06-01T10:00:00Z'),
];
const object = await is('Object', create(machine.id, attributes));
const told = await refused(400, create(machine.id, attributes));
assert.deepEqual(Object.keys(told.errors).sort(), [named(known, 'Name'), identity.id].map((id) => `rlabs-insight-attribute-${id}`).sort());
const read = await is('Object', assets.objectFind({ id: object.id }));
assert.equal(read.attributes.length, 10);
const update = { id: object.id, requestBody: { objectTypeId: machine.id, attributes: [value(identity.id, 'i-2')] } };
assert.equal((await is('Object', assets.objectUpdate(update))).attributes.length, 10);
await are('ObjectAttribute', assets.objectFindAttributes({ id: object.id }));
assert.equal((await are('ObjectHistory', assets.objectFindHistoryEntries({ id: object.id }))).length, 2);
assert.equal((await are('ObjectReferenceTypeInfo', assets.objectFindReferences({ id: web.id }))).length, 1);
await is('Tickets', assets.objectConnectedTickets({ objectId: object.id }));

const qlQuery = 'objectType = Machine AND "Provider ID" IN ("i-2") ORDER BY Key';
const page = await is('ObjectListInclTypeAttributesEntryResult', assets.objectsByAql({ requestBody: { qlQuery }, maxResults: 500 }));
assert.deepEqual(page.values.map((object) => object.label), ['web-1']);
const count = await is('ObjectAQLTotalCountResult', assets.postObjectAqlTotalcount({ requestBody: { qlQuery } }));
assert.equal(count.totalCount, 1);
await refused(400, assets.objectsByAql({ requestBody: { qlQuery: 'Nosuch = 1' } }));
await refused(410, assets.aqlFindObjects({ qlQuery }));

await assets.objectDelete({ id: object.id });
await refused(404, assets.objectFind({ id: object.id }));
await is('ObjectType', assets.objectTypeDelete({ id: machine.id }));
await assets.statusDelete({ id: status.id });
log('nobody');
await refused(403, assets.schemaList());
