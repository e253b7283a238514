"""Small random bases with tokenizers of their own, as `transformers` writes them."""

import random

import torch
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer, Tokenizer, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

NOUNS = "dog cat ship house river letter child captain garden winter".split()
VERBS = "sees finds leaves follows forgets paints sells".split()
WORDS = "the a old young quiet red slowly never today and".split()


def sentences(count, seed):
    draw = random.Random(seed)
    for _ in range(count):
        words = [draw.choice(WORDS), draw.choice(NOUNS), draw.choice(VERBS), draw.choice(WORDS), draw.choice(NOUNS)]
        yield " ".join(words[: draw.randint(2, 5)]) + draw.choice([".", "!", " — 42 %", "", "'s café"])


def byte_level(vocabulary, with_pairs):
    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(sentences(400, 0), vocab_size=vocabulary, special_tokens=special)
    tokenizer = Tokenizer.from_str(trained.to_str())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if with_pairs:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    else:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    if with_pairs:
        names |= {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    inputs = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **names)


def word_piece(vocabulary):
    trained = BertWordPieceTokenizer(lowercase=True)
    trained.train_from_iterator(sentences(400, 0), vocab_size=vocabulary)
    tokenizer = trained._tokenizer
    markers = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    pair = "[CLS] $A [SEP] $B:1 [SEP]:1"
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=pair, special_tokens=markers
    )
    names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "pad_token": "[PAD]"}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_input_names=inputs, mask_token="[MASK]", **names
    )


def save(folder, family, seed, hidden=32, layers=3, heads=4, labels=3):
    """Writes a random base of a family into a folder; its head has `labels` outputs."""
    torch.manual_seed(seed)
    common = {"initializer_range": 0.15}
    if family == "gpt2":
        tokenizer = byte_level(400, with_pairs=False)
        config = GPT2Config(
            vocab_size=len(tokenizer), n_embd=hidden, n_layer=layers, n_head=heads, n_positions=96,
            bos_token_id=0, eos_token_id=2, **common,
        )
        model = GPT2LMHeadModel(config)
    else:
        roberta = family == "roberta"
        tokenizer = byte_level(400, with_pairs=True) if roberta else word_piece(300)
        config = (RobertaConfig if roberta else BertConfig)(
            vocab_size=len(tokenizer), hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
            intermediate_size=2 * hidden + 8, max_position_embeddings=98, num_labels=labels,
            pad_token_id=tokenizer.pad_token_id, type_vocab_size=1 if roberta else 2, **common,
        )
        model = (RobertaForSequenceClassification if roberta else BertForSequenceClassification)(config)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
