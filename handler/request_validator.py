"""Made by `make openapi` from RANK_REQUEST_SCHEMA; `make check` fails where it is stale."""

VERSION = "2.22.3"
from decimal import Decimal
import re
import fastjsonschema


REGEX_PATTERNS = {
    '[^\\s\\u001c-\\u001f\\u0085\\ufeff]': re.compile('[^\\s\\u001c-\\u001f\\u0085\\ufeff]')
}

NoneType = type(None)

def validate(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + " must be object", value=data, name="" + (name_prefix or "data") + "", definition={'$schema': 'http://json-schema.org/draft-07/schema#', 'title': 'RankRequest', 'type': 'object', 'required': ['query', 'passages'], 'properties': {'query': {'type': 'string', 'pattern': '[^\\s\\u001c-\\u001f\\u0085\\ufeff]', 'maxLength': 100000, 'description': 'a string of 1 to 100,000 characters, not only white space'}, 'passages': {'type': 'array', 'minItems': 1, 'maxItems': 1000, 'description': 'a list of 1 to 1,000 passages', 'items': {'type': ['string', 'object'], 'maxLength': 100000, 'required': ['text'], 'description': 'a string of at most 100,000 characters or an object with such a `text`', 'properties': {'text': {'type': 'string', 'maxLength': 100000, 'description': 'a string of at most 100,000 characters'}, 'id': {'type': ['string', 'integer', 'null'], 'description': 'a string or an integer'}, 'meta': {'type': ['object', 'null'], 'description': 'an object'}, 'score': {'type': ['number', 'null'], 'description': "a number, the first stage's score"}, 'rank': {'type': ['integer', 'null'], 'minimum': 1, 'description': "an integer of at least 1, the first stage's rank"}}}}, 'top_n': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, 'top_k': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, 'return_passages': {'type': 'boolean', 'description': 'true or false'}, 'raw_scores': {'type': 'boolean', 'description': 'true or false'}, 'score_threshold': {'type': 'number', 'description': 'a number'}, 'min_results': {'type': 'integer', 'minimum': 0, 'description': 'an integer of at least 0'}, 'model': {'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, 'models': {'type': 'array', 'minItems': 1, 'maxItems': 2, 'items': {'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, 'description': 'a list of one or two model names'}, 'cut': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, 'deadline_ms': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1, in milliseconds'}, 'on_deadline': {'enum': ['partial', 'error'], 'description': '"partial" or "error"'}, 'truncation': {'enum': [True, False, 'auto', 'error'], 'description': 'true, false, "auto" or "error"'}, 'chunking': {'type': 'object', 'description': 'an object', 'properties': {'mode': {'enum': ['max', 'mean', 'first', 'top_k_mean'], 'description': '"max", "mean", "first" or "top_k_mean"'}, 'max_chunks_per_doc': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, 'max_tokens_per_doc': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, 'chunk_tokens': {'type': 'integer', 'minimum': 16, 'description': 'an integer of at least 16'}, 'overlap_tokens': {'type': 'integer', 'minimum': 0, 'maximum': 128, 'description': 'an integer from 0 to 128'}, 'top_k': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}}}, 'fusion': {'type': 'object', 'description': 'an object', 'properties': {'method': {'enum': ['rrf', 'weighted'], 'description': '"rrf" or "weighted"'}, 'weight': {'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'a number from 0 to 1'}, 'k': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}}}, 'relevant_spans': {'type': 'object', 'description': 'an object', 'properties': {'mode': {'enum': ['enabled', 'disabled'], 'description': '"enabled" or "disabled"'}, 'threshold': {'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'a number from 0 to 1'}, 'max_spans': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}}}, 'dry_run': {'type': 'boolean', 'description': 'true or false'}}}, rule='type')
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['query', 'passages']) - data.keys()
        if data__missing_keys:
            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"), value=data, name="" + (name_prefix or "data") + "", definition={'$schema': 'http://json-schema.org/draft-07/schema#', 'title': 'RankRequest', 'type': 'object', 'required': ['query', 'passages'], 'properties': {'query': {'type': 'string', 'pattern': '[^\\s\\u001c-\\u001f\\u0085\\ufeff]', 'maxLength': 100000, 'description': 'a string of 1 to 100,000 characters, not only white space'}, 'passages': {'type': 'array', 'minItems': 1, 'maxItems': 1000, 'description': 'a list of 1 to 1,000 passages', 'items': {'type': ['string', 'object'], 'maxLength': 100000, 'required': ['text'], 'description': 'a string of at most 100,000 characters or an object with such a `text`', 'properties': {'text': {'type': 'string', 'maxLength': 100000, 'description': 'a string of at most 100,000 characters'}, 'id': {'type': ['string', 'integer', 'null'], 'description': 'a string or an integer'}, 'meta': {'type': ['object', 'null'], 'description': 'an object'}, 'score': {'type': ['number', 'null'], 'description': "a number, the first stage's score"}, 'rank': {'type': ['integer', 'null'], 'minimum': 1, 'description': "an integer of at least 1, the first stage's rank"}}}}, 'top_n': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, 'top_k': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, 'return_passages': {'type': 'boolean', 'description': 'true or false'}, 'raw_scores': {'type': 'boolean', 'description': 'true or false'}, 'score_threshold': {'type': 'number', 'description': 'a number'}, 'min_results': {'type': 'integer', 'minimum': 0, 'description': 'an integer of at least 0'}, 'model': {'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, 'models': {'type': 'array', 'minItems': 1, 'maxItems': 2, 'items': {'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, 'description': 'a list of one or two model names'}, 'cut': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, 'deadline_ms': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1, in milliseconds'}, 'on_deadline': {'enum': ['partial', 'error'], 'description': '"partial" or "error"'}, 'truncation': {'enum': [True, False, 'auto', 'error'], 'description': 'true, false, "auto" or "error"'}, 'chunking': {'type': 'object', 'description': 'an object', 'properties': {'mode': {'enum': ['max', 'mean', 'first', 'top_k_mean'], 'description': '"max", "mean", "first" or "top_k_mean"'}, 'max_chunks_per_doc': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, 'max_tokens_per_doc': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, 'chunk_tokens': {'type': 'integer', 'minimum': 16, 'description': 'an integer of at least 16'}, 'overlap_tokens': {'type': 'integer', 'minimum': 0, 'maximum': 128, 'description': 'an integer from 0 to 128'}, 'top_k': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}}}, 'fusion': {'type': 'object', 'description': 'an object', 'properties': {'method': {'enum': ['rrf', 'weighted'], 'description': '"rrf" or "weighted"'}, 'weight': {'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'a number from 0 to 1'}, 'k': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}}}, 'relevant_spans': {'type': 'object', 'description': 'an object', 'properties': {'mode': {'enum': ['enabled', 'disabled'], 'description': '"enabled" or "disabled"'}, 'threshold': {'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'a number from 0 to 1'}, 'max_spans': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}}}, 'dry_run': {'type': 'boolean', 'description': 'true or false'}}}, rule='required')
        data_keys = set(data.keys())
        if "query" in data_keys:
            data_keys.remove("query")
            data__query = data["query"]
            if not isinstance(data__query, (str)):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".query must be string", value=data__query, name="" + (name_prefix or "data") + ".query", definition={'type': 'string', 'pattern': '[^\\s\\u001c-\\u001f\\u0085\\ufeff]', 'maxLength': 100000, 'description': 'a string of 1 to 100,000 characters, not only white space'}, rule='type')
            if isinstance(data__query, str):
                data__query_len = len(data__query)
                if data__query_len > 100000:
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".query must be shorter than or equal to 100000 characters", value=data__query, name="" + (name_prefix or "data") + ".query", definition={'type': 'string', 'pattern': '[^\\s\\u001c-\\u001f\\u0085\\ufeff]', 'maxLength': 100000, 'description': 'a string of 1 to 100,000 characters, not only white space'}, rule='maxLength')
                if not REGEX_PATTERNS['[^\\s\\u001c-\\u001f\\u0085\\ufeff]'].search(data__query):
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".query must match pattern [^\\s\\u001c-\\u001f\\u0085\\ufeff]", value=data__query, name="" + (name_prefix or "data") + ".query", definition={'type': 'string', 'pattern': '[^\\s\\u001c-\\u001f\\u0085\\ufeff]', 'maxLength': 100000, 'description': 'a string of 1 to 100,000 characters, not only white space'}, rule='pattern')
        if "passages" in data_keys:
            data_keys.remove("passages")
            data__passages = data["passages"]
            if not isinstance(data__passages, (list, tuple)):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages must be array", value=data__passages, name="" + (name_prefix or "data") + ".passages", definition={'type': 'array', 'minItems': 1, 'maxItems': 1000, 'description': 'a list of 1 to 1,000 passages', 'items': {'type': ['string', 'object'], 'maxLength': 100000, 'required': ['text'], 'description': 'a string of at most 100,000 characters or an object with such a `text`', 'properties': {'text': {'type': 'string', 'maxLength': 100000, 'description': 'a string of at most 100,000 characters'}, 'id': {'type': ['string', 'integer', 'null'], 'description': 'a string or an integer'}, 'meta': {'type': ['object', 'null'], 'description': 'an object'}, 'score': {'type': ['number', 'null'], 'description': "a number, the first stage's score"}, 'rank': {'type': ['integer', 'null'], 'minimum': 1, 'description': "an integer of at least 1, the first stage's rank"}}}}, rule='type')
            data__passages_is_list = isinstance(data__passages, (list, tuple))
            if data__passages_is_list:
                data__passages_len = len(data__passages)
                if data__passages_len < 1:
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages must contain at least 1 items", value=data__passages, name="" + (name_prefix or "data") + ".passages", definition={'type': 'array', 'minItems': 1, 'maxItems': 1000, 'description': 'a list of 1 to 1,000 passages', 'items': {'type': ['string', 'object'], 'maxLength': 100000, 'required': ['text'], 'description': 'a string of at most 100,000 characters or an object with such a `text`', 'properties': {'text': {'type': 'string', 'maxLength': 100000, 'description': 'a string of at most 100,000 characters'}, 'id': {'type': ['string', 'integer', 'null'], 'description': 'a string or an integer'}, 'meta': {'type': ['object', 'null'], 'description': 'an object'}, 'score': {'type': ['number', 'null'], 'description': "a number, the first stage's score"}, 'rank': {'type': ['integer', 'null'], 'minimum': 1, 'description': "an integer of at least 1, the first stage's rank"}}}}, rule='minItems')
                if data__passages_len > 1000:
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages must contain less than or equal to 1000 items", value=data__passages, name="" + (name_prefix or "data") + ".passages", definition={'type': 'array', 'minItems': 1, 'maxItems': 1000, 'description': 'a list of 1 to 1,000 passages', 'items': {'type': ['string', 'object'], 'maxLength': 100000, 'required': ['text'], 'description': 'a string of at most 100,000 characters or an object with such a `text`', 'properties': {'text': {'type': 'string', 'maxLength': 100000, 'description': 'a string of at most 100,000 characters'}, 'id': {'type': ['string', 'integer', 'null'], 'description': 'a string or an integer'}, 'meta': {'type': ['object', 'null'], 'description': 'an object'}, 'score': {'type': ['number', 'null'], 'description': "a number, the first stage's score"}, 'rank': {'type': ['integer', 'null'], 'minimum': 1, 'description': "an integer of at least 1, the first stage's rank"}}}}, rule='maxItems')
                for data__passages_x, data__passages_item in enumerate(data__passages):
                    if not isinstance(data__passages_item, (str, dict)):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages[{data__passages_x}]".format(**locals()) + " must be string or object", value=data__passages_item, name="" + (name_prefix or "data") + ".passages[{data__passages_x}]".format(**locals()) + "", definition={'type': ['string', 'object'], 'maxLength': 100000, 'required': ['text'], 'description': 'a string of at most 100,000 characters or an object with such a `text`', 'properties': {'text': {'type': 'string', 'maxLength': 100000, 'description': 'a string of at most 100,000 characters'}, 'id': {'type': ['string', 'integer', 'null'], 'description': 'a string or an integer'}, 'meta': {'type': ['object', 'null'], 'description': 'an object'}, 'score': {'type': ['number', 'null'], 'description': "a number, the first stage's score"}, 'rank': {'type': ['integer', 'null'], 'minimum': 1, 'description': "an integer of at least 1, the first stage's rank"}}}, rule='type')
                    if isinstance(data__passages_item, str):
                        data__passages_item_len = len(data__passages_item)
                        if data__passages_item_len > 100000:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages[{data__passages_x}]".format(**locals()) + " must be shorter than or equal to 100000 characters", value=data__passages_item, name="" + (name_prefix or "data") + ".passages[{data__passages_x}]".format(**locals()) + "", definition={'type': ['string', 'object'], 'maxLength': 100000, 'required': ['text'], 'description': 'a string of at most 100,000 characters or an object with such a `text`', 'properties': {'text': {'type': 'string', 'maxLength': 100000, 'description': 'a string of at most 100,000 characters'}, 'id': {'type': ['string', 'integer', 'null'], 'description': 'a string or an integer'}, 'meta': {'type': ['object', 'null'], 'description': 'an object'}, 'score': {'type': ['number', 'null'], 'description': "a number, the first stage's score"}, 'rank': {'type': ['integer', 'null'], 'minimum': 1, 'description': "an integer of at least 1, the first stage's rank"}}}, rule='maxLength')
                    data__passages_item_is_dict = isinstance(data__passages_item, dict)
                    if data__passages_item_is_dict:
                        data__passages_item__missing_keys = set(['text']) - data__passages_item.keys()
                        if data__passages_item__missing_keys:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages[{data__passages_x}]".format(**locals()) + " must contain " + (str(sorted(data__passages_item__missing_keys)) + " properties"), value=data__passages_item, name="" + (name_prefix or "data") + ".passages[{data__passages_x}]".format(**locals()) + "", definition={'type': ['string', 'object'], 'maxLength': 100000, 'required': ['text'], 'description': 'a string of at most 100,000 characters or an object with such a `text`', 'properties': {'text': {'type': 'string', 'maxLength': 100000, 'description': 'a string of at most 100,000 characters'}, 'id': {'type': ['string', 'integer', 'null'], 'description': 'a string or an integer'}, 'meta': {'type': ['object', 'null'], 'description': 'an object'}, 'score': {'type': ['number', 'null'], 'description': "a number, the first stage's score"}, 'rank': {'type': ['integer', 'null'], 'minimum': 1, 'description': "an integer of at least 1, the first stage's rank"}}}, rule='required')
                        data__passages_item_keys = set(data__passages_item.keys())
                        if "text" in data__passages_item_keys:
                            data__passages_item_keys.remove("text")
                            data__passages_item__text = data__passages_item["text"]
                            if not isinstance(data__passages_item__text, (str)):
                                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages[{data__passages_x}].text".format(**locals()) + " must be string", value=data__passages_item__text, name="" + (name_prefix or "data") + ".passages[{data__passages_x}].text".format(**locals()) + "", definition={'type': 'string', 'maxLength': 100000, 'description': 'a string of at most 100,000 characters'}, rule='type')
                            if isinstance(data__passages_item__text, str):
                                data__passages_item__text_len = len(data__passages_item__text)
                                if data__passages_item__text_len > 100000:
                                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages[{data__passages_x}].text".format(**locals()) + " must be shorter than or equal to 100000 characters", value=data__passages_item__text, name="" + (name_prefix or "data") + ".passages[{data__passages_x}].text".format(**locals()) + "", definition={'type': 'string', 'maxLength': 100000, 'description': 'a string of at most 100,000 characters'}, rule='maxLength')
                        if "id" in data__passages_item_keys:
                            data__passages_item_keys.remove("id")
                            data__passages_item__id = data__passages_item["id"]
                            if not isinstance(data__passages_item__id, (str, int, NoneType)) and not (isinstance(data__passages_item__id, float) and data__passages_item__id.is_integer()) or isinstance(data__passages_item__id, bool):
                                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages[{data__passages_x}].id".format(**locals()) + " must be string or integer or null", value=data__passages_item__id, name="" + (name_prefix or "data") + ".passages[{data__passages_x}].id".format(**locals()) + "", definition={'type': ['string', 'integer', 'null'], 'description': 'a string or an integer'}, rule='type')
                        if "meta" in data__passages_item_keys:
                            data__passages_item_keys.remove("meta")
                            data__passages_item__meta = data__passages_item["meta"]
                            if not isinstance(data__passages_item__meta, (dict, NoneType)):
                                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages[{data__passages_x}].meta".format(**locals()) + " must be object or null", value=data__passages_item__meta, name="" + (name_prefix or "data") + ".passages[{data__passages_x}].meta".format(**locals()) + "", definition={'type': ['object', 'null'], 'description': 'an object'}, rule='type')
                        if "score" in data__passages_item_keys:
                            data__passages_item_keys.remove("score")
                            data__passages_item__score = data__passages_item["score"]
                            if not isinstance(data__passages_item__score, (int, float, Decimal, NoneType)) or isinstance(data__passages_item__score, bool):
                                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages[{data__passages_x}].score".format(**locals()) + " must be number or null", value=data__passages_item__score, name="" + (name_prefix or "data") + ".passages[{data__passages_x}].score".format(**locals()) + "", definition={'type': ['number', 'null'], 'description': "a number, the first stage's score"}, rule='type')
                        if "rank" in data__passages_item_keys:
                            data__passages_item_keys.remove("rank")
                            data__passages_item__rank = data__passages_item["rank"]
                            if not isinstance(data__passages_item__rank, (int, NoneType)) and not (isinstance(data__passages_item__rank, float) and data__passages_item__rank.is_integer()) or isinstance(data__passages_item__rank, bool):
                                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages[{data__passages_x}].rank".format(**locals()) + " must be integer or null", value=data__passages_item__rank, name="" + (name_prefix or "data") + ".passages[{data__passages_x}].rank".format(**locals()) + "", definition={'type': ['integer', 'null'], 'minimum': 1, 'description': "an integer of at least 1, the first stage's rank"}, rule='type')
                            if isinstance(data__passages_item__rank, (int, float, Decimal)) and not isinstance(data__passages_item__rank, bool):
                                if data__passages_item__rank < 1:
                                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".passages[{data__passages_x}].rank".format(**locals()) + " must be bigger than or equal to 1", value=data__passages_item__rank, name="" + (name_prefix or "data") + ".passages[{data__passages_x}].rank".format(**locals()) + "", definition={'type': ['integer', 'null'], 'minimum': 1, 'description': "an integer of at least 1, the first stage's rank"}, rule='minimum')
        if "top_n" in data_keys:
            data_keys.remove("top_n")
            data__topn = data["top_n"]
            if not isinstance(data__topn, (int)) and not (isinstance(data__topn, float) and data__topn.is_integer()) or isinstance(data__topn, bool):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".top_n must be integer", value=data__topn, name="" + (name_prefix or "data") + ".top_n", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='type')
            if isinstance(data__topn, (int, float, Decimal)) and not isinstance(data__topn, bool):
                if data__topn < 1:
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".top_n must be bigger than or equal to 1", value=data__topn, name="" + (name_prefix or "data") + ".top_n", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='minimum')
        if "top_k" in data_keys:
            data_keys.remove("top_k")
            data__topk = data["top_k"]
            if not isinstance(data__topk, (int)) and not (isinstance(data__topk, float) and data__topk.is_integer()) or isinstance(data__topk, bool):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".top_k must be integer", value=data__topk, name="" + (name_prefix or "data") + ".top_k", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='type')
            if isinstance(data__topk, (int, float, Decimal)) and not isinstance(data__topk, bool):
                if data__topk < 1:
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".top_k must be bigger than or equal to 1", value=data__topk, name="" + (name_prefix or "data") + ".top_k", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='minimum')
        if "return_passages" in data_keys:
            data_keys.remove("return_passages")
            data__returnpassages = data["return_passages"]
            if not isinstance(data__returnpassages, (bool)):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".return_passages must be boolean", value=data__returnpassages, name="" + (name_prefix or "data") + ".return_passages", definition={'type': 'boolean', 'description': 'true or false'}, rule='type')
        if "raw_scores" in data_keys:
            data_keys.remove("raw_scores")
            data__rawscores = data["raw_scores"]
            if not isinstance(data__rawscores, (bool)):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".raw_scores must be boolean", value=data__rawscores, name="" + (name_prefix or "data") + ".raw_scores", definition={'type': 'boolean', 'description': 'true or false'}, rule='type')
        if "score_threshold" in data_keys:
            data_keys.remove("score_threshold")
            data__scorethreshold = data["score_threshold"]
            if not isinstance(data__scorethreshold, (int, float, Decimal)) or isinstance(data__scorethreshold, bool):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".score_threshold must be number", value=data__scorethreshold, name="" + (name_prefix or "data") + ".score_threshold", definition={'type': 'number', 'description': 'a number'}, rule='type')
        if "min_results" in data_keys:
            data_keys.remove("min_results")
            data__minresults = data["min_results"]
            if not isinstance(data__minresults, (int)) and not (isinstance(data__minresults, float) and data__minresults.is_integer()) or isinstance(data__minresults, bool):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".min_results must be integer", value=data__minresults, name="" + (name_prefix or "data") + ".min_results", definition={'type': 'integer', 'minimum': 0, 'description': 'an integer of at least 0'}, rule='type')
            if isinstance(data__minresults, (int, float, Decimal)) and not isinstance(data__minresults, bool):
                if data__minresults < 0:
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".min_results must be bigger than or equal to 0", value=data__minresults, name="" + (name_prefix or "data") + ".min_results", definition={'type': 'integer', 'minimum': 0, 'description': 'an integer of at least 0'}, rule='minimum')
        if "model" in data_keys:
            data_keys.remove("model")
            data__model = data["model"]
            if not isinstance(data__model, (str)):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".model must be string", value=data__model, name="" + (name_prefix or "data") + ".model", definition={'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, rule='type')
            if isinstance(data__model, str):
                data__model_len = len(data__model)
                if data__model_len < 1:
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".model must be longer than or equal to 1 characters", value=data__model, name="" + (name_prefix or "data") + ".model", definition={'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, rule='minLength')
                if data__model_len > 256:
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".model must be shorter than or equal to 256 characters", value=data__model, name="" + (name_prefix or "data") + ".model", definition={'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, rule='maxLength')
        if "models" in data_keys:
            data_keys.remove("models")
            data__models = data["models"]
            if not isinstance(data__models, (list, tuple)):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".models must be array", value=data__models, name="" + (name_prefix or "data") + ".models", definition={'type': 'array', 'minItems': 1, 'maxItems': 2, 'items': {'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, 'description': 'a list of one or two model names'}, rule='type')
            data__models_is_list = isinstance(data__models, (list, tuple))
            if data__models_is_list:
                data__models_len = len(data__models)
                if data__models_len < 1:
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".models must contain at least 1 items", value=data__models, name="" + (name_prefix or "data") + ".models", definition={'type': 'array', 'minItems': 1, 'maxItems': 2, 'items': {'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, 'description': 'a list of one or two model names'}, rule='minItems')
                if data__models_len > 2:
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".models must contain less than or equal to 2 items", value=data__models, name="" + (name_prefix or "data") + ".models", definition={'type': 'array', 'minItems': 1, 'maxItems': 2, 'items': {'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, 'description': 'a list of one or two model names'}, rule='maxItems')
                for data__models_x, data__models_item in enumerate(data__models):
                    if not isinstance(data__models_item, (str)):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".models[{data__models_x}]".format(**locals()) + " must be string", value=data__models_item, name="" + (name_prefix or "data") + ".models[{data__models_x}]".format(**locals()) + "", definition={'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, rule='type')
                    if isinstance(data__models_item, str):
                        data__models_item_len = len(data__models_item)
                        if data__models_item_len < 1:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".models[{data__models_x}]".format(**locals()) + " must be longer than or equal to 1 characters", value=data__models_item, name="" + (name_prefix or "data") + ".models[{data__models_x}]".format(**locals()) + "", definition={'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, rule='minLength')
                        if data__models_item_len > 256:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".models[{data__models_x}]".format(**locals()) + " must be shorter than or equal to 256 characters", value=data__models_item, name="" + (name_prefix or "data") + ".models[{data__models_x}]".format(**locals()) + "", definition={'type': 'string', 'minLength': 1, 'maxLength': 256, 'description': 'a model name'}, rule='maxLength')
        if "cut" in data_keys:
            data_keys.remove("cut")
            data__cut = data["cut"]
            if not isinstance(data__cut, (int)) and not (isinstance(data__cut, float) and data__cut.is_integer()) or isinstance(data__cut, bool):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".cut must be integer", value=data__cut, name="" + (name_prefix or "data") + ".cut", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='type')
            if isinstance(data__cut, (int, float, Decimal)) and not isinstance(data__cut, bool):
                if data__cut < 1:
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".cut must be bigger than or equal to 1", value=data__cut, name="" + (name_prefix or "data") + ".cut", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='minimum')
        if "deadline_ms" in data_keys:
            data_keys.remove("deadline_ms")
            data__deadlinems = data["deadline_ms"]
            if not isinstance(data__deadlinems, (int)) and not (isinstance(data__deadlinems, float) and data__deadlinems.is_integer()) or isinstance(data__deadlinems, bool):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".deadline_ms must be integer", value=data__deadlinems, name="" + (name_prefix or "data") + ".deadline_ms", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1, in milliseconds'}, rule='type')
            if isinstance(data__deadlinems, (int, float, Decimal)) and not isinstance(data__deadlinems, bool):
                if data__deadlinems < 1:
                    raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".deadline_ms must be bigger than or equal to 1", value=data__deadlinems, name="" + (name_prefix or "data") + ".deadline_ms", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1, in milliseconds'}, rule='minimum')
        if "on_deadline" in data_keys:
            data_keys.remove("on_deadline")
            data__ondeadline = data["on_deadline"]
            if not (isinstance(data__ondeadline, str) and data__ondeadline == 'partial' or isinstance(data__ondeadline, str) and data__ondeadline == 'error'):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".on_deadline must be one of ['partial', 'error']", value=data__ondeadline, name="" + (name_prefix or "data") + ".on_deadline", definition={'enum': ['partial', 'error'], 'description': '"partial" or "error"'}, rule='enum')
        if "truncation" in data_keys:
            data_keys.remove("truncation")
            data__truncation = data["truncation"]
            if not (isinstance(data__truncation, bool) and data__truncation is True or isinstance(data__truncation, bool) and data__truncation is False or isinstance(data__truncation, str) and data__truncation == 'auto' or isinstance(data__truncation, str) and data__truncation == 'error'):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".truncation must be one of [True, False, 'auto', 'error']", value=data__truncation, name="" + (name_prefix or "data") + ".truncation", definition={'enum': [True, False, 'auto', 'error'], 'description': 'true, false, "auto" or "error"'}, rule='enum')
        if "chunking" in data_keys:
            data_keys.remove("chunking")
            data__chunking = data["chunking"]
            if not isinstance(data__chunking, (dict)):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking must be object", value=data__chunking, name="" + (name_prefix or "data") + ".chunking", definition={'type': 'object', 'description': 'an object', 'properties': {'mode': {'enum': ['max', 'mean', 'first', 'top_k_mean'], 'description': '"max", "mean", "first" or "top_k_mean"'}, 'max_chunks_per_doc': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, 'max_tokens_per_doc': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, 'chunk_tokens': {'type': 'integer', 'minimum': 16, 'description': 'an integer of at least 16'}, 'overlap_tokens': {'type': 'integer', 'minimum': 0, 'maximum': 128, 'description': 'an integer from 0 to 128'}, 'top_k': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}}}, rule='type')
            data__chunking_is_dict = isinstance(data__chunking, dict)
            if data__chunking_is_dict:
                data__chunking_keys = set(data__chunking.keys())
                if "mode" in data__chunking_keys:
                    data__chunking_keys.remove("mode")
                    data__chunking__mode = data__chunking["mode"]
                    if not (isinstance(data__chunking__mode, str) and data__chunking__mode == 'max' or isinstance(data__chunking__mode, str) and data__chunking__mode == 'mean' or isinstance(data__chunking__mode, str) and data__chunking__mode == 'first' or isinstance(data__chunking__mode, str) and data__chunking__mode == 'top_k_mean'):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking.mode must be one of ['max', 'mean', 'first', 'top_k_mean']", value=data__chunking__mode, name="" + (name_prefix or "data") + ".chunking.mode", definition={'enum': ['max', 'mean', 'first', 'top_k_mean'], 'description': '"max", "mean", "first" or "top_k_mean"'}, rule='enum')
                if "max_chunks_per_doc" in data__chunking_keys:
                    data__chunking_keys.remove("max_chunks_per_doc")
                    data__chunking__maxchunksperdoc = data__chunking["max_chunks_per_doc"]
                    if not isinstance(data__chunking__maxchunksperdoc, (int)) and not (isinstance(data__chunking__maxchunksperdoc, float) and data__chunking__maxchunksperdoc.is_integer()) or isinstance(data__chunking__maxchunksperdoc, bool):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking.max_chunks_per_doc must be integer", value=data__chunking__maxchunksperdoc, name="" + (name_prefix or "data") + ".chunking.max_chunks_per_doc", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='type')
                    if isinstance(data__chunking__maxchunksperdoc, (int, float, Decimal)) and not isinstance(data__chunking__maxchunksperdoc, bool):
                        if data__chunking__maxchunksperdoc < 1:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking.max_chunks_per_doc must be bigger than or equal to 1", value=data__chunking__maxchunksperdoc, name="" + (name_prefix or "data") + ".chunking.max_chunks_per_doc", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='minimum')
                if "max_tokens_per_doc" in data__chunking_keys:
                    data__chunking_keys.remove("max_tokens_per_doc")
                    data__chunking__maxtokensperdoc = data__chunking["max_tokens_per_doc"]
                    if not isinstance(data__chunking__maxtokensperdoc, (int)) and not (isinstance(data__chunking__maxtokensperdoc, float) and data__chunking__maxtokensperdoc.is_integer()) or isinstance(data__chunking__maxtokensperdoc, bool):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking.max_tokens_per_doc must be integer", value=data__chunking__maxtokensperdoc, name="" + (name_prefix or "data") + ".chunking.max_tokens_per_doc", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='type')
                    if isinstance(data__chunking__maxtokensperdoc, (int, float, Decimal)) and not isinstance(data__chunking__maxtokensperdoc, bool):
                        if data__chunking__maxtokensperdoc < 1:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking.max_tokens_per_doc must be bigger than or equal to 1", value=data__chunking__maxtokensperdoc, name="" + (name_prefix or "data") + ".chunking.max_tokens_per_doc", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='minimum')
                if "chunk_tokens" in data__chunking_keys:
                    data__chunking_keys.remove("chunk_tokens")
                    data__chunking__chunktokens = data__chunking["chunk_tokens"]
                    if not isinstance(data__chunking__chunktokens, (int)) and not (isinstance(data__chunking__chunktokens, float) and data__chunking__chunktokens.is_integer()) or isinstance(data__chunking__chunktokens, bool):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking.chunk_tokens must be integer", value=data__chunking__chunktokens, name="" + (name_prefix or "data") + ".chunking.chunk_tokens", definition={'type': 'integer', 'minimum': 16, 'description': 'an integer of at least 16'}, rule='type')
                    if isinstance(data__chunking__chunktokens, (int, float, Decimal)) and not isinstance(data__chunking__chunktokens, bool):
                        if data__chunking__chunktokens < 16:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking.chunk_tokens must be bigger than or equal to 16", value=data__chunking__chunktokens, name="" + (name_prefix or "data") + ".chunking.chunk_tokens", definition={'type': 'integer', 'minimum': 16, 'description': 'an integer of at least 16'}, rule='minimum')
                if "overlap_tokens" in data__chunking_keys:
                    data__chunking_keys.remove("overlap_tokens")
                    data__chunking__overlaptokens = data__chunking["overlap_tokens"]
                    if not isinstance(data__chunking__overlaptokens, (int)) and not (isinstance(data__chunking__overlaptokens, float) and data__chunking__overlaptokens.is_integer()) or isinstance(data__chunking__overlaptokens, bool):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking.overlap_tokens must be integer", value=data__chunking__overlaptokens, name="" + (name_prefix or "data") + ".chunking.overlap_tokens", definition={'type': 'integer', 'minimum': 0, 'maximum': 128, 'description': 'an integer from 0 to 128'}, rule='type')
                    if isinstance(data__chunking__overlaptokens, (int, float, Decimal)) and not isinstance(data__chunking__overlaptokens, bool):
                        if data__chunking__overlaptokens < 0:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking.overlap_tokens must be bigger than or equal to 0", value=data__chunking__overlaptokens, name="" + (name_prefix or "data") + ".chunking.overlap_tokens", definition={'type': 'integer', 'minimum': 0, 'maximum': 128, 'description': 'an integer from 0 to 128'}, rule='minimum')
                        if data__chunking__overlaptokens > 128:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking.overlap_tokens must be smaller than or equal to 128", value=data__chunking__overlaptokens, name="" + (name_prefix or "data") + ".chunking.overlap_tokens", definition={'type': 'integer', 'minimum': 0, 'maximum': 128, 'description': 'an integer from 0 to 128'}, rule='maximum')
                if "top_k" in data__chunking_keys:
                    data__chunking_keys.remove("top_k")
                    data__chunking__topk = data__chunking["top_k"]
                    if not isinstance(data__chunking__topk, (int)) and not (isinstance(data__chunking__topk, float) and data__chunking__topk.is_integer()) or isinstance(data__chunking__topk, bool):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking.top_k must be integer", value=data__chunking__topk, name="" + (name_prefix or "data") + ".chunking.top_k", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='type')
                    if isinstance(data__chunking__topk, (int, float, Decimal)) and not isinstance(data__chunking__topk, bool):
                        if data__chunking__topk < 1:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".chunking.top_k must be bigger than or equal to 1", value=data__chunking__topk, name="" + (name_prefix or "data") + ".chunking.top_k", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='minimum')
        if "fusion" in data_keys:
            data_keys.remove("fusion")
            data__fusion = data["fusion"]
            if not isinstance(data__fusion, (dict)):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".fusion must be object", value=data__fusion, name="" + (name_prefix or "data") + ".fusion", definition={'type': 'object', 'description': 'an object', 'properties': {'method': {'enum': ['rrf', 'weighted'], 'description': '"rrf" or "weighted"'}, 'weight': {'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'a number from 0 to 1'}, 'k': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}}}, rule='type')
            data__fusion_is_dict = isinstance(data__fusion, dict)
            if data__fusion_is_dict:
                data__fusion_keys = set(data__fusion.keys())
                if "method" in data__fusion_keys:
                    data__fusion_keys.remove("method")
                    data__fusion__method = data__fusion["method"]
                    if not (isinstance(data__fusion__method, str) and data__fusion__method == 'rrf' or isinstance(data__fusion__method, str) and data__fusion__method == 'weighted'):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".fusion.method must be one of ['rrf', 'weighted']", value=data__fusion__method, name="" + (name_prefix or "data") + ".fusion.method", definition={'enum': ['rrf', 'weighted'], 'description': '"rrf" or "weighted"'}, rule='enum')
                if "weight" in data__fusion_keys:
                    data__fusion_keys.remove("weight")
                    data__fusion__weight = data__fusion["weight"]
                    if not isinstance(data__fusion__weight, (int, float, Decimal)) or isinstance(data__fusion__weight, bool):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".fusion.weight must be number", value=data__fusion__weight, name="" + (name_prefix or "data") + ".fusion.weight", definition={'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'a number from 0 to 1'}, rule='type')
                    if isinstance(data__fusion__weight, (int, float, Decimal)) and not isinstance(data__fusion__weight, bool):
                        if data__fusion__weight < 0:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".fusion.weight must be bigger than or equal to 0", value=data__fusion__weight, name="" + (name_prefix or "data") + ".fusion.weight", definition={'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'a number from 0 to 1'}, rule='minimum')
                        if data__fusion__weight > 1:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".fusion.weight must be smaller than or equal to 1", value=data__fusion__weight, name="" + (name_prefix or "data") + ".fusion.weight", definition={'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'a number from 0 to 1'}, rule='maximum')
                if "k" in data__fusion_keys:
                    data__fusion_keys.remove("k")
                    data__fusion__k = data__fusion["k"]
                    if not isinstance(data__fusion__k, (int)) and not (isinstance(data__fusion__k, float) and data__fusion__k.is_integer()) or isinstance(data__fusion__k, bool):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".fusion.k must be integer", value=data__fusion__k, name="" + (name_prefix or "data") + ".fusion.k", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='type')
                    if isinstance(data__fusion__k, (int, float, Decimal)) and not isinstance(data__fusion__k, bool):
                        if data__fusion__k < 1:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".fusion.k must be bigger than or equal to 1", value=data__fusion__k, name="" + (name_prefix or "data") + ".fusion.k", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='minimum')
        if "relevant_spans" in data_keys:
            data_keys.remove("relevant_spans")
            data__relevantspans = data["relevant_spans"]
            if not isinstance(data__relevantspans, (dict)):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".relevant_spans must be object", value=data__relevantspans, name="" + (name_prefix or "data") + ".relevant_spans", definition={'type': 'object', 'description': 'an object', 'properties': {'mode': {'enum': ['enabled', 'disabled'], 'description': '"enabled" or "disabled"'}, 'threshold': {'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'a number from 0 to 1'}, 'max_spans': {'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}}}, rule='type')
            data__relevantspans_is_dict = isinstance(data__relevantspans, dict)
            if data__relevantspans_is_dict:
                data__relevantspans_keys = set(data__relevantspans.keys())
                if "mode" in data__relevantspans_keys:
                    data__relevantspans_keys.remove("mode")
                    data__relevantspans__mode = data__relevantspans["mode"]
                    if not (isinstance(data__relevantspans__mode, str) and data__relevantspans__mode == 'enabled' or isinstance(data__relevantspans__mode, str) and data__relevantspans__mode == 'disabled'):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".relevant_spans.mode must be one of ['enabled', 'disabled']", value=data__relevantspans__mode, name="" + (name_prefix or "data") + ".relevant_spans.mode", definition={'enum': ['enabled', 'disabled'], 'description': '"enabled" or "disabled"'}, rule='enum')
                if "threshold" in data__relevantspans_keys:
                    data__relevantspans_keys.remove("threshold")
                    data__relevantspans__threshold = data__relevantspans["threshold"]
                    if not isinstance(data__relevantspans__threshold, (int, float, Decimal)) or isinstance(data__relevantspans__threshold, bool):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".relevant_spans.threshold must be number", value=data__relevantspans__threshold, name="" + (name_prefix or "data") + ".relevant_spans.threshold", definition={'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'a number from 0 to 1'}, rule='type')
                    if isinstance(data__relevantspans__threshold, (int, float, Decimal)) and not isinstance(data__relevantspans__threshold, bool):
                        if data__relevantspans__threshold < 0:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".relevant_spans.threshold must be bigger than or equal to 0", value=data__relevantspans__threshold, name="" + (name_prefix or "data") + ".relevant_spans.threshold", definition={'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'a number from 0 to 1'}, rule='minimum')
                        if data__relevantspans__threshold > 1:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".relevant_spans.threshold must be smaller than or equal to 1", value=data__relevantspans__threshold, name="" + (name_prefix or "data") + ".relevant_spans.threshold", definition={'type': 'number', 'minimum': 0, 'maximum': 1, 'description': 'a number from 0 to 1'}, rule='maximum')
                if "max_spans" in data__relevantspans_keys:
                    data__relevantspans_keys.remove("max_spans")
                    data__relevantspans__maxspans = data__relevantspans["max_spans"]
                    if not isinstance(data__relevantspans__maxspans, (int)) and not (isinstance(data__relevantspans__maxspans, float) and data__relevantspans__maxspans.is_integer()) or isinstance(data__relevantspans__maxspans, bool):
                        raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".relevant_spans.max_spans must be integer", value=data__relevantspans__maxspans, name="" + (name_prefix or "data") + ".relevant_spans.max_spans", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='type')
                    if isinstance(data__relevantspans__maxspans, (int, float, Decimal)) and not isinstance(data__relevantspans__maxspans, bool):
                        if data__relevantspans__maxspans < 1:
                            raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".relevant_spans.max_spans must be bigger than or equal to 1", value=data__relevantspans__maxspans, name="" + (name_prefix or "data") + ".relevant_spans.max_spans", definition={'type': 'integer', 'minimum': 1, 'description': 'an integer of at least 1'}, rule='minimum')
        if "dry_run" in data_keys:
            data_keys.remove("dry_run")
            data__dryrun = data["dry_run"]
            if not isinstance(data__dryrun, (bool)):
                raise fastjsonschema.JsonSchemaValueException("" + (name_prefix or "data") + ".dry_run must be boolean", value=data__dryrun, name="" + (name_prefix or "data") + ".dry_run", definition={'type': 'boolean', 'description': 'true or false'}, rule='type')
    return data