// Calls one JavaScript client as its users do: a call comes as JSON on stdin, hits or an error go to stdout.
import { createCohere } from "@ai-sdk/cohere";
import { rerank } from "ai";
import { CohereClient, CohereClientV2 } from "cohere-ai";

const clients = {
  async "cohere-v1"({ url, key, query, documents, topN, returnDocuments }) {
    const client = new CohereClient({ token: key, environment: url });
    const answer = await client.rerank({ model: "rerank-english-v3.0", query, documents, topN: topN ?? undefined, returnDocuments });
    return answer.results.map(r => [r.index, r.relevanceScore, r.document?.text ?? null]);
  },
  async "cohere-v2"({ url, key, query, documents, topN }) {
    const client = new CohereClientV2({ token: key, environment: url });
    const answer = await client.rerank({ model: "rerank-v3.5", query, documents, topN: topN ?? undefined });
    return answer.results.map(r => [r.index, r.relevanceScore, null]);
  },
  async "ai-sdk"({ url, key, query, documents, topN }) {
    const provider = createCohere({ apiKey: key, baseURL: `${url}/v2` });
    const { ranking } = await rerank({ model: provider.reranking("rerank-v3.5"), query, documents, topN: topN ?? undefined, maxRetries: 0 });
    return ranking.map(r => [r.originalIndex, r.score, r.document]);
  },
};

let input = "";
for await (const part of process.stdin) input += part;
const call = JSON.parse(input);
let answer;
try {
  answer = { hits: await clients[call.client](call) };
} catch (error) {
  answer = { error: `${error.constructor.name} ${error.statusCode}: ${error.message}` };
}
console.log(JSON.stringify(answer));
